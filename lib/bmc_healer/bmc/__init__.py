"""BMCs over the LAN: the sessionless ping, sessions in child processes, Redfish, and who is who."""
