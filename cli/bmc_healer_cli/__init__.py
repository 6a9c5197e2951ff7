"""The command `bmc-healer`: joins the library and packrunner for people. Nothing else knows both."""
