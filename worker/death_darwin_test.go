package worker

// agentDeathModes: without a parent-death signal a process must listen to its socket.
var agentDeathModes = []string{"good"}
