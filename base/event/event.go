// Package event is the vocabulary of the journal: an event says what was done,
// by whom, why and as part of which chain. Its JSON form is a CloudEvents 1.0
// envelope; types follow CDEvents 0.6 where that has a word for it.
package event

import (
	"encoding/json"
	"time"

	"steer/base/id"
)

// Event is one thing that happened. The fields below Data are CloudEvents
// extension attributes.
type Event struct {
	ID      string          `json:"id"`
	Source  string          `json:"source"`  // the part of Steer that saw it: "/steer/deploy"
	Type    string          `json:"type"`    // one of the constants of this package
	Subject string          `json:"subject"` // what it is about: "deploy/12", see the Ref functions
	Time    time.Time       `json:"time"`
	Data    json.RawMessage `json:"data,omitempty"` // details; documented where the event is made

	Summary     string         `json:"summary"`          // one line for people
	Actor       id.Person      `json:"actor"`            // who: a person, or "steer" itself
	Reason      string         `json:"reason,omitempty"` // why, in the actor's words or Steer's
	Service     id.Service     `json:"service,omitempty"`
	Environment id.Environment `json:"environment,omitempty"`
	Version     id.Version     `json:"version,omitempty"`
	Chain       string         `json:"chainid,omitempty"` // shared by all events that one change led to
	Cause       string         `json:"cause,omitempty"`   // id of the event that led to this one
	Seq         int64          `json:"seq"`               // position in the journal, set on append; no gaps
}

// Steer is the actor of what Steer does by itself.
const Steer id.Person = "steer"

// Types of events. Those under dev.cdeventsx.steer- have no word in CDEvents.
const (
	ChangeMerged = "dev.cdevents.change.merged.0.3.0" // a commit on mainline was seen

	RunQueued     = "dev.cdevents.pipelinerun.queued.0.3.0"
	RunStarted    = "dev.cdevents.pipelinerun.started.0.3.0"
	RunFinished   = "dev.cdevents.pipelinerun.finished.0.3.0"
	StageStarted  = "dev.cdevents.taskrun.started.0.3.0"
	StageFinished = "dev.cdevents.taskrun.finished.0.3.0"

	ApprovalCreated = "dev.cdevents.approval.created.0.1.0" // a manual stage waits
	ApprovalClosed  = "dev.cdevents.approval.closed.0.1.0"  // approved or rejected

	ArtifactPackaged  = "dev.cdevents.artifact.packaged.0.3.0"
	ArtifactPublished = "dev.cdevents.artifact.published.0.3.0" // an image was pushed
	ArtifactDeleted   = "dev.cdevents.artifact.deleted.0.2.0"   // an image, a tag or a blob

	DeployStarted     = "dev.cdeventsx.steer-deploy.started.0.1.0"
	DeployFailed      = "dev.cdeventsx.steer-deploy.failed.0.1.0" // the old version still serves
	Deployed          = "dev.cdevents.service.deployed.0.3.0"     // first version in an environment
	Upgraded          = "dev.cdevents.service.upgraded.0.3.0"     // another version before it
	RolledBack        = "dev.cdevents.service.rolledback.0.3.0"
	VersionPinned     = "dev.cdeventsx.steer-version.pinned.0.1.0" // kept out of "latest"
	VersionFreed      = "dev.cdeventsx.steer-version.freed.0.1.0"
	PlacementHeld     = "dev.cdeventsx.steer-placement.held.0.1.0" // automation keeps away
	PlacementReleased = "dev.cdeventsx.steer-placement.released.0.1.0"
	NodeStarted       = "dev.cdeventsx.steer-node.started.0.1.0"
	NodeStopped       = "dev.cdeventsx.steer-node.stopped.0.1.0"
	NodeDied          = "dev.cdeventsx.steer-node.died.0.1.0"
	CheckChanged      = "dev.cdeventsx.steer-check.changed.0.1.0" // OK, WARN, CRITICAL, NODATA
	IncidentOpened    = "dev.cdevents.incident.detected.0.3.0"
	IncidentAcked     = "dev.cdeventsx.steer-incident.acknowledged.0.1.0"
	IncidentClosed    = "dev.cdevents.incident.resolved.0.3.0"

	IncidentLearned  = "dev.cdeventsx.steer-incident.learned.0.1.0"  // somebody gave or confirmed evidence of a step
	IncidentDoubted  = "dev.cdeventsx.steer-incident.doubted.0.1.0"  // … or says that it is none
	IncidentWaived   = "dev.cdeventsx.steer-incident.waived.0.1.0"   // … or that a step is not worth it
	IncidentImproved = "dev.cdeventsx.steer-incident.improved.0.1.0" // all steps are done
	IncidentLeft     = "dev.cdeventsx.steer-incident.left.0.1.0"     // it ended without some of them
	IncidentReturned = "dev.cdeventsx.steer-incident.returned.0.1.0" // the same again, after all steps

	NotificationSent   = "dev.cdeventsx.steer-notification.sent.0.1.0"
	NotificationFailed = "dev.cdeventsx.steer-notification.failed.0.1.0"
	RollbackDeclined   = "dev.cdeventsx.steer-rollback.declined.0.1.0" // an incident asked for one that would not help

	ImportStarted  = "dev.cdeventsx.steer-import.started.0.1.0" // of metrics
	ImportFinished = "dev.cdeventsx.steer-import.finished.0.1.0"

	HostInvited        = "dev.cdeventsx.steer-host.invited.0.1.0" // it may join once
	HostJoined         = "dev.cdeventsx.steer-host.joined.0.1.0"
	HostLeft           = "dev.cdeventsx.steer-host.left.0.1.0"           // by itself, or its identity was revoked
	HostDoubled        = "dev.cdeventsx.steer-host.doubled.0.1.0"        // two machines show one identity
	HostConvergedAlone = "dev.cdeventsx.steer-host.convergedalone.0.1.0" // without the server

	Noted = "dev.cdeventsx.steer-note.added.0.1.0" // somebody told of something, see listen/annotate

	HostAsked       = "dev.cdeventsx.steer-host.asked.0.1.0"       // somebody wants a visit
	HostConverged   = "dev.cdeventsx.steer-host.converged.0.1.0"   // as declared, which it was not before
	HostChanged     = "dev.cdeventsx.steer-host.changed.0.1.0"     // definitions reached it
	HostDrifted     = "dev.cdeventsx.steer-host.drifted.0.1.0"     // it was changed without them
	HostEroded      = "dev.cdeventsx.steer-host.eroded.0.1.0"      // something of it broke or wore out by itself
	HostFailed      = "dev.cdeventsx.steer-host.failed.0.1.0"      // it is not as declared
	HostUnreachable = "dev.cdeventsx.steer-host.unreachable.0.1.0" // it does not answer
	HostRebuilt     = "dev.cdeventsx.steer-host.rebuilt.0.1.0"
	HostRolledBack  = "dev.cdeventsx.steer-host.rolledback.0.1.0"
	HostStopped     = "dev.cdeventsx.steer-host.stopped.0.1.0" // somebody wanted it so
	HostStarted     = "dev.cdeventsx.steer-host.started.0.1.0"
	HostDestroyed   = "dev.cdeventsx.steer-host.destroyed.0.1.0"
	HostEntered     = "dev.cdeventsx.steer-host.entered.0.1.0"  // somebody runs a command on one that nobody can log in to
	HostEnds        = "dev.cdeventsx.steer-host.ends.0.1.0"     // its time is over soon
	DriftAccepted   = "dev.cdeventsx.steer-host.accepted.0.1.0" // what it drifted to is the declaration now
	HostsPaused     = "dev.cdeventsx.steer-host.paused.0.1.0"
	HostsResumed    = "dev.cdeventsx.steer-host.resumed.0.1.0"
	GroupBegins     = "dev.cdeventsx.steer-group.begins.0.1.0" // definitions are on their way to its hosts
	GroupAsks       = "dev.cdeventsx.steer-group.asks.0.1.0"   // they wait for somebody who agrees
	GroupApproved   = "dev.cdeventsx.steer-group.approved.0.1.0"
	GroupRefused    = "dev.cdeventsx.steer-group.refused.0.1.0"
	GroupFailed     = "dev.cdeventsx.steer-group.failed.0.1.0"
	GroupFollows    = "dev.cdeventsx.steer-group.follows.0.1.0" // all its hosts have them

	DefinitionsChanged = "dev.cdeventsx.steer-definitions.changed.0.1.0"
	TokenCreated       = "dev.cdeventsx.steer-token.created.0.1.0"
	TokenRevoked       = "dev.cdeventsx.steer-token.revoked.0.1.0"
	ServerStarted      = "dev.cdeventsx.steer-server.started.0.1.0"
	ServerStopped      = "dev.cdeventsx.steer-server.stopped.0.1.0"
	BackupTaken        = "dev.cdeventsx.steer-backup.taken.0.1.0"
	BackupFailed       = "dev.cdeventsx.steer-backup.failed.0.1.0"
)
