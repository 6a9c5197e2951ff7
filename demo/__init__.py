"""`make demo`: a real kernel driver, a BMC that hangs, and `bmc-healer run` that heals it by itself."""
