"""What runs inside the guests, called by the agent: setting up and looking, without a process where sysfs answers."""
