package machine

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"strings"
	"time"
)

// Bounds of asking disks.
const (
	mostDisks  = 64
	oneDisk    = 10 * time.Second
	allDisks   = 40 * time.Second // an attempt of a test has a minute
	smallCount = 1<<32 - 1        // some disks keep other things in the upper bits
)

// Disks asks the disks for their SMART state, by smartctl where it is, and reads what the
// kernel's log tells of them since then. Wear is how much of the life that its maker
// gives a flash disk may be used, in per cent.
func (m Machine) Disks(ctx context.Context, since time.Time, wear int) (s Seen, err error) {
	if m.Container {
		s.not(noHardware)
		return s, nil
	}
	m.smart(ctx, &s, wear)
	m.logged(ctx, &s, since, diskEvents())
	return s, nil
}

func (m Machine) smart(ctx context.Context, s *Seen, wear int) {
	var real []string
	for _, dir := range m.names("/sys/block/*/device") {
		if disk := path.Base(path.Dir(dir)); !strings.HasPrefix(disk, "vd") && !strings.HasPrefix(disk, "xvd") && !strings.HasPrefix(disk, "sr") && !strings.HasPrefix(disk, "fd") && m.text(path.Dir(dir)+"/size") != "0" {
			real = append(real, disk)
		}
	}
	if len(real) == 0 {
		s.not("SMART (no disk here has it)")
		return
	}
	program, ok := m.program("smartctl")
	if !ok {
		s.not("SMART of %s (smartctl is not installed; it is in the package smartmontools)", list(real))
		return
	}
	ctx, cancel := context.WithTimeout(ctx, allDisks)
	defer cancel()
	var scan struct {
		Devices []struct{ Name, Type string }
	}
	if err := ask(ctx, &scan, program, "--json=c", "--scan"); err != nil {
		s.not("SMART (%v)", err)
		return
	}
	for _, d := range scan.Devices[:min(len(scan.Devices), mostDisks)] {
		args := []string{program, "--json=c", "-n", "standby,0", "-i", "-H", "-A"}
		name := strings.TrimPrefix(d.Name, "/dev/")
		if strings.Contains(d.Type, ",") { // megaraid,3: the type is part of the address
			args, name = append(args, "-d", d.Type), name+" "+d.Type
		}
		var is smart
		if err := ask(ctx, &is, append(args, d.Name)...); err != nil {
			s.not("SMART of %s (%v)", name, err)
			continue
		}
		if is.Status == nil && len(is.ATA.Table) == 0 && is.NVMe == nil {
			why := "it has none, or sleeps and is left alone"
			for _, said := range is.Smartctl.Messages {
				why = strings.TrimPrefix(said.String, d.Name+": ")
			}
			s.not("SMART of %s (%s)", name, cut(why))
			continue
		}
		s.looked("SMART of " + name)
		is.judge(s, name, wear)
	}
}

// ask runs smartctl, whose exit status has a bit for each thing that is wrong: only what
// it writes counts.
func ask(ctx context.Context, into any, args ...string) error {
	out, err := run(ctx, oneDisk, args...)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(out, into); err != nil {
		return errors.New("smartctl writes no JSON; it has to be 7.0 or newer")
	}
	return nil
}

// smart is what smartctl writes of a disk, as far as it matters here.
type smart struct {
	Smartctl struct{ Messages []struct{ String string } }
	Model    string                 `json:"model_name"`
	SCSI     string                 `json:"scsi_model_name"`
	Serial   string                 `json:"serial_number"`
	Status   *struct{ Passed bool } `json:"smart_status"`
	ATA      struct {
		Table []struct {
			ID         int
			Name       string
			Value      int
			Thresh     int
			WhenFailed string `json:"when_failed"`
			Flags      struct{ Prefailure bool }
			Raw        struct{ Value int64 }
		}
	} `json:"ata_smart_attributes"`
	NVMe *struct {
		Warning   int `json:"critical_warning"`
		Used      int `json:"percentage_used"`
		Spare     int `json:"available_spare"`
		Threshold int `json:"available_spare_threshold"`
	} `json:"nvme_smart_health_information_log"`
	Endurance *struct {
		Used int `json:"current_percent"`
	} `json:"endurance_used"`
	Indicator int `json:"scsi_percentage_used_endurance_indicator"`
}

// judge names everything that is wrong with a disk in one finding of each kind.
func (d smart) judge(s *Seen, name string, wear int) {
	what := name
	if model := cmp.Or(d.Model, d.SCSI); model != "" {
		what += fmt.Sprintf(" (%s)", strings.TrimSpace(model+" "+d.Serial))
	}
	var failing, sectors []string
	for _, a := range d.ATA.Table {
		if a.WhenFailed == "now" {
			why := "a sign of its age"
			if a.Flags.Prefailure {
				why = "it foretells failure"
			}
			failing = append(failing, fmt.Sprintf("%s is %d, at its threshold %d (%s)", a.Name, a.Value, a.Thresh, why))
		}
		if n := a.Raw.Value & smallCount; n > 0 && (a.ID == 197 && a.Name == "Current_Pending_Sector" || a.ID == 198 && a.Name == "Offline_Uncorrectable") {
			sectors = append(sectors, fmt.Sprintf("%s %d", a.Name, n))
		}
	}
	used := d.Indicator
	if d.Endurance != nil {
		used = d.Endurance.Used
	}
	if n := d.NVMe; n != nil {
		used = n.Used
		for bit, says := range []string{
			fmt.Sprintf("its spare is used up: %d %%, threshold %d %%", n.Spare, n.Threshold), "it is too hot or too cold", "it is not reliable any more",
			"it can only be read", "its memory is not saved when the power goes", "its persistent memory can only be read",
		} {
			if n.Warning&(1<<bit) != 0 {
				failing = append(failing, says)
			}
		}
	}
	if d.Status != nil && !d.Status.Passed && len(failing) == 0 {
		failing = append(failing, "its own test says that it fails")
	}
	if len(failing) > 0 {
		s.add(name, "failing", "%s: %s (save its data, replace it)", what, strings.Join(failing, "; "))
	}
	if len(sectors) > 0 {
		s.add(name, "sectors", "%s: it has sectors that it can't read: %s (save its data; write them anew or replace it)", what, list(sectors))
	}
	if used >= wear {
		s.add(name, "worn", "%s: %d %% of the life that its maker gives it are used (plan to replace it)", what, used)
	}
}
