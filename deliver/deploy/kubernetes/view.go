package kubernetes

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"steer/deliver/deploy"
)

// podObject is what is used of a pod.
type podObject struct {
	Version string    `json:"apiVersion,omitempty"`
	Kind    string    `json:"kind,omitempty"`
	Meta    meta      `json:"metadata"`
	Spec    podSpec   `json:"spec"`
	Status  podStatus `json:"status,omitzero"`
}

type podStatus struct {
	Phase      string            `json:"phase,omitempty"`
	Reason     string            `json:"reason,omitempty"`
	Message    string            `json:"message,omitempty"`
	IP         string            `json:"podIP,omitempty"`
	Conditions []condition       `json:"conditions,omitempty"`
	Containers []containerStatus `json:"containerStatuses,omitempty"`
}

type containerStatus struct {
	Name     string `json:"name"`
	ID       string `json:"containerID,omitempty"`
	Restarts int    `json:"restartCount"`
	State    state  `json:"state"`
	Last     state  `json:"lastState"`
}

type state struct {
	Waiting *struct {
		Reason  string `json:"reason"`
		Message string `json:"message"`
	} `json:"waiting,omitempty"`
	Running *struct {
		Started time.Time `json:"startedAt"`
	} `json:"running,omitempty"`
	Ended *ended `json:"terminated,omitempty"`
}

type ended struct {
	Code    int       `json:"exitCode"`
	Signal  int       `json:"signal,omitempty"`
	Reason  string    `json:"reason"`
	Message string    `json:"message,omitempty"`
	Started time.Time `json:"startedAt"`
}

// container is the state of the node's container in the pod, empty if there is none
// yet. Clusters may add containers of their own.
func (p *podObject) container() containerStatus {
	for _, c := range p.Status.Containers {
		if c.Name == containerName {
			return c
		}
	}
	return containerStatus{}
}

func (p *podObject) over() bool { return p.Status.Phase == "Succeeded" || p.Status.Phase == "Failed" }

// conditionOf is the condition of a type, empty if there is none.
func conditionOf(all []condition, typ string) condition {
	i := slices.IndexFunc(all, func(c condition) bool { return c.Type == typ })
	if i < 0 {
		return condition{}
	}
	return all[i]
}

// choose is the pod that stands for a node: one that stays before one that goes,
// then the newest.
func choose(pods []*podObject) *podObject {
	if len(pods) == 0 {
		return nil
	}
	goes := func(p *podObject) int {
		if p.Meta.Deleted != nil || p.over() {
			return 1
		}
		return 0
	}
	return slices.MinFunc(pods, func(a, b *podObject) int {
		var x, y time.Time
		if a.Meta.Created != nil && b.Meta.Created != nil {
			x, y = *a.Meta.Created, *b.Meta.Created
		}
		return cmp.Or(cmp.Compare(goes(a), goes(b)), y.Compare(x), cmp.Compare(a.Meta.Name, b.Meta.Name))
	})
}

// how says how a container ended.
func (e *ended) how(s deploy.Spec) string {
	switch {
	case e.Reason == "OOMKilled":
		return fmt.Sprintf("killed: it needed more memory than it may have (run.limits.memory: %s)", cmp.Or(s.Limits.Memory, "none; the machine ran out"))
	case e.Reason == "ContainerCannotRun" || e.Reason == "StartError":
		return "not started: " + noShell(e.Message)
	case e.Code == 137:
		return "exit status 137 (killed)"
	}
	return fmt.Sprintf("exit status %d", e.Code)
}

// noShell adds the way out to what the machine says.
func noShell(message string) string {
	message = strings.TrimSpace(message)
	if strings.Contains(message, "/bin/sh") && strings.Contains(message, "no such file") {
		message += " (the command needs a shell, and the image has none: write the program and its words only, or name an image with /bin/sh for the nodes in environments.yaml)"
	}
	return message
}

// gone says why a pod went, or goes.
func (p *podObject) gone() string {
	why := conditionOf(p.Status.Conditions, "DisruptionTarget")
	switch {
	case p.Status.Reason == "Evicted":
		return "evicted by its machine: " + strings.TrimSpace(p.Status.Message)
	case why.Status == "True" && why.Reason == "DeletionByTaintManager":
		return fmt.Sprintf("its machine %s does not answer, or is being emptied", p.Spec.NodeName)
	case why.Status == "True" && why.Message != "":
		return "taken from its machine: " + strings.TrimSpace(why.Message)
	case p.Status.Reason != "":
		return strings.TrimSpace("its pod failed: " + p.Status.Reason + " " + p.Status.Message)
	}
	return "its pod was removed"
}

// waits says in words why a pod does not run yet. hopeless is when trying again
// cannot help.
func (p *podObject) waits() (why string, hopeless bool) {
	if placed := conditionOf(p.Status.Conditions, "PodScheduled"); placed.Status == "False" {
		switch placed.Reason {
		case "Unschedulable":
			why, _, _ := strings.Cut(placed.Message, " preemption:") // of what else was tried
			return "it cannot be scheduled: " + strings.TrimSpace(why), false
		case "SchedulingGated":
			return "something else in the cluster holds it back (schedulingGates)", false
		}
	}
	if p.Spec.NodeName == "" {
		return "it waits for a machine", false
	}
	w := p.container().State.Waiting
	if w == nil {
		return "it is starting on " + p.Spec.NodeName, false
	}
	message := strings.TrimSpace(w.Message)
	switch w.Reason {
	case "InvalidImageName", "ErrImageNeverPull":
		return "its image cannot be had: " + message, true
	case "ErrImagePull", "ImagePullBackOff", "ImageInspectError", "RegistryUnavailable":
		return pull(message), false
	case "CreateContainerConfigError":
		if strings.Contains(message, "runAsNonRoot") || strings.Contains(message, "run as root") || strings.Contains(message, "non-numeric user") {
			return message + " (set run.user in steer.yaml: a number like 1000, or 0 for root)", true
		}
		return "its container cannot be made: " + message, false
	case "CreateContainerError", "RunContainerError":
		return "its container does not start: " + noShell(message), false
	case "ContainerCreating", "PodInitializing", "":
		return "its machine " + p.Spec.NodeName + " fetches the image and makes the container", false
	}
	return strings.TrimSpace(w.Reason + " " + message), false
}

// pull adds the way out to what a registry says.
func pull(message string) string {
	way := ""
	switch {
	case strings.Contains(message, "401") || strings.Contains(message, "authorization") || strings.Contains(message, "authentication required"):
		way = " (the token to pull with was revoked: the next deploy brings a new one)"
	case strings.Contains(message, "server gave HTTP response to HTTPS client"):
		way = " (give Steer a certificate, or tell containerd on the machines that this registry speaks HTTP; see docs/guide/kubernetes.md)"
	case strings.Contains(message, "connection refused") || strings.Contains(message, "no such host") || strings.Contains(message, "i/o timeout"):
		way = " (machines of the cluster must reach deploy.kubernetes.registry)"
	}
	return "its image cannot be pulled: " + message + way
}

// look takes in what the cluster says of a node: its ReplicaSet and its pods, as
// they are now. It changes the record, and says whether the node runs, or what it
// waits for. hopeless is when trying again cannot help.
func (r *record) look(set *replicaSet, pods []*podObject) (running bool, waiting string, hopeless bool) {
	p := choose(pods)
	if p == nil {
		if r.InPod > 0 && !r.Ended {
			r.end("its pod was removed")
		}
		if set == nil {
			return false, "it is made in the cluster", false
		}
		if failed := conditionOf(set.Status.Conditions, "ReplicaFailure"); failed.Status == "True" {
			return false, "the cluster makes no pod for it: " + strings.TrimSpace(failed.Message), false
		}
		return false, "the cluster makes a pod for it", false
	}
	if p.Meta.UID != r.Pod {
		if r.InPod > 0 && !r.Ended { // the end of the pod before was not seen
			why := "its pod was removed"
			for _, old := range pods {
				if old.Meta.UID == r.Pod {
					why = old.gone()
				}
			}
			r.end(why)
		}
		r.Pod, r.Before, r.InPod = p.Meta.UID, r.Before+r.InPod, 0
	}
	r.Machine = p.Spec.NodeName
	c := p.container()
	last := c.Last.Ended
	if c.State.Ended != nil {
		last = c.State.Ended
	}
	if now := c.State.Running; now != nil || last != nil {
		lives := c.Restarts + 1 // processes that began in this pod
		if lives > r.InPod {
			if r.InPod > 0 && !r.Ended || r.InPod == 0 && lives > 1 {
				r.end("restarted, and not by Steer") // unless the API knows more
				if c.Last.Ended != nil {
					r.LastExit = c.Last.Ended.how(r.Spec)
				}
			}
			r.InPod, r.Ended = lives, false
			r.Restarts = r.Before + lives - 1
			if now != nil {
				r.Started = now.Started
			} else {
				r.Started = last.Started
			}
		}
		if now == nil && !r.Ended {
			r.end(last.how(r.Spec))
		}
	}
	if p.Meta.Deleted != nil || p.over() {
		if r.InPod > 0 && !r.Ended {
			r.end(p.gone())
		}
		return false, p.gone(), false
	}
	switch {
	case c.State.Running != nil && (p.Status.IP != "" || len(r.Ports) == 0):
		r.IP = p.Status.IP
		return true, "", false
	case c.State.Running != nil:
		return false, "its pod has no address yet", false
	case r.InPod > 0: // the machine starts it again after a pause
		return false, "", false
	}
	waiting, hopeless = p.waits()
	return false, waiting, hopeless
}

// end notes that what ran has ended.
func (r *record) end(how string) { r.Ended, r.LastExit = true, how }
