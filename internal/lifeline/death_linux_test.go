package lifeline

import "testing"

func TestSpawnedChildDiesWithItsParent(t *testing.T) {
	cmd, out := helper(t, "parent")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	awaitReady(t, out) // the child
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	awaitEnd(t, out)
	if err := cmd.Wait(); err == nil {
		t.Error("it ended well")
	}
}
