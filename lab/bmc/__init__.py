"""The simulated BMC: a real `ipmi_sim` behind a daemon that can hang, darken, slow and reboot it."""
