// Package pipeline takes each commit through the stages that its steer.yaml
// lists, and knows how far every version of a service has come.
//
// A commit makes one run and the next version of its service (b1, b2 …). What a
// run needs next is decided by the pure function Next from its record; a durable
// job performs one decision after another and writes each result into the
// record, so that a restart at any moment goes on with the same decision:
//
//	queued ─▶ running ─▶ passed | failed | canceled
//	  ▲          │
//	  └─ waiting ◀ a manual stage; an approval queues the run again
//
// Runs of one service start in the order of their commits, and the next one
// starts when the one before it has finished or waits for a person; after an
// approval a run goes on beside the others. Runs of different services are
// independent. A run that waits holds no worker.
//
// The artifact is made once, as part of the first stage, in the checkout that
// the stage's command uses: artifact.build, then the command (so that the tests
// of the first stage see what was built), then the packing, if the command
// passed. A first stage that deploys is packed before it deploys. Later stages
// take the stored artifact and a clean checkout.
//
// A stage with a deploy and a command deploys first; its command then finds the
// environment's balancer in STEER_URL. A command that Steer's death interrupts
// runs a second time from a clean checkout, and then the stage fails. A deploy
// goes on by itself, and the stage finds it again by its number.
package pipeline
