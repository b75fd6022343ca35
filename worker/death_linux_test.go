package worker

// agentDeathModes: on Linux the kernel ends also a process that hangs.
var agentDeathModes = []string{"good", "deaf"}
