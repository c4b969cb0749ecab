package machine

import (
	"context"
	"regexp"
	"time"
)

// event is something that the kernel's log tells of. What its expression captures is
// the thing that it is about.
type event struct {
	*regexp.Regexp
	except   *regexp.Regexp
	of, kind string
	what     string
	next     string
}

// The texts below are those of Linux 4.19 to 6.18.

func diskEvents() []event {
	const next = "look at its cables and SMART state; save its data, replace it"
	// Drives without a disk in them, files in place of disks, and what disks need not be
	// able to do.
	harmless := regexp.MustCompile(`dev (fd|sr|loop)\d|op 0x(3|9):`)
	return []event{
		{regexp.MustCompile(`(?:I/O error|critical medium error), dev (\S+), sector`), harmless, "", "I/O", "I/O errors", next},
		{regexp.MustCompile(`^Buffer I/O error on dev (\S+),`), harmless, "", "I/O", "I/O errors", next},
		{regexp.MustCompile(`^nvme (nvme\d+): (?:.*timeout, (?:aborting|reset controller|disable controller)|controller is down|Removing after probe failure|Device not ready)`), nil, "", "answers", "the disk does not answer", next},
		{regexp.MustCompile(`^(ata\d+)(?:\.\d+)?: (?:failed command|disabled)`), nil, "", "answers", "commands to the disk on this port fail", next},
	}
}

func filesystemEvents() []event {
	const next = "look at the disk, check the file system unmounted"
	file := regexp.MustCompile(`[( ]loop\d`) // an image in a file, which somebody may look into; one that stays mounted is counted
	return []event{
		{regexp.MustCompile(`^EXT4-fs error \(device (\S+?)\)`), file, "", "errors", "errors of the file system", next},
		{regexp.MustCompile(`^Aborting journal on device (\S+?)(?:-\d+)?\.`), file, "", "errors", "its journal ended", next},
		{regexp.MustCompile(`^XFS \((\S+?)\): .*(?:[Cc]orruption|[Ss]hut(?:ting)? down|metadata I/O error)`), file, "", "errors", "errors of the file system", next},
		{regexp.MustCompile(`^BTRFS (?:error|critical) \(device (\S+?)(?: state \S+)?\)`), file, "", "errors", "errors of the file system", next},
	}
}

func boardEvents() []event {
	return []event{
		{regexp.MustCompile(`(?:temperature|temperature/speed) above threshold, cpu clock throttled|critical temperature reached`), nil, "processors", "heat", "too hot, and slowed down", "look at fans, dust and the air of the room"},
		{regexp.MustCompile(`^(\S+ \S+?): (?:AER: )?PCIe Bus Error: severity=Uncorrected`), nil, "", "bus", "errors on the bus that were not corrected", "seat the card anew, or replace it"},
		{regexp.MustCompile(`\[Hardware Error\]`), nil, "hardware", "machine check", "the hardware reports errors", "the lines around it in dmesg name the part; ask its maker"},
	}
}

// Board reads what the kernel's log tells of processors, buses and heat since then.
func (m Machine) Board(ctx context.Context, since time.Time) (s Seen, err error) {
	if m.Container {
		s.not(noHardware)
		return s, nil
	}
	m.logged(ctx, &s, since, boardEvents())
	return s, nil
}
