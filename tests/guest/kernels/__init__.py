"""What each kernel does with a hung BMC, and what the product makes of it: `make kernels`."""
