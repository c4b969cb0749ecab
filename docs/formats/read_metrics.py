#!/usr/bin/env python3
"""Reads a metric store of Steer without Steer, as metrics.md describes it.

    read_metrics.py DATA/metrics --list         the names of all series
    read_metrics.py DATA/metrics NAME [STEP]    lines "seconds since 1970,value"

STEP is the step of an archive in seconds, by default the finest that has values.
What is damaged is left out and told on stderr; the exit code is 1 then. Points that
are still in the log show in the archive they went to; coarser values that depend on
them are those of the last flush. Steer must not be running, or DATA be a snapshot.
"""
import bisect
import itertools
import json
import mmap
import os
import re
import struct
import sys


class Damaged(Exception):
    pass


def unknown(what):
    sys.exit("read_metrics: %s is not known to this reader" % what)


# Numbers


def crc_table():
    for n in range(256):
        for _ in range(8):
            n = n >> 1 ^ (0x82F63B78 if n & 1 else 0)
        yield n


def checksum(data, table=tuple(crc_table())):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ table[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def unfold(n):
    return -(n >> 1) - 1 if n & 1 else n >> 1


class Bytes:
    """Takes numbers off the front of bytes."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def left(self):
        return len(self.data) - self.at

    def take(self, n):
        if n > self.left():
            raise Damaged("ends too early")
        self.at += n
        return self.data[self.at - n:self.at]

    def u8(self):
        return self.take(1)[0]

    def uvarint(self):
        value = 0
        for shift in range(0, 70, 7):
            byte = self.u8()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
        raise Damaged("number is too long")

    def varint(self):
        return unfold(self.uvarint())

    def float(self):
        return struct.unpack("<d", self.take(8))[0]


# Chunks


def chunk(data, count):
    """The known slots, counted from the chunk's first, and their values."""
    b = Bytes(data)
    kind = b.u8()
    if kind >> 4 > 2 or kind & 15 > 4:
        raise Damaged("chunk of an unknown kind")
    slots = (all_known, bitmap, runs)[kind >> 4](b, count)
    values = (constant, xor, raw, decimals, thirds)[kind & 15](b, len(slots))
    if b.left():
        raise Damaged("chunk is too long")
    return zip(slots, values)


def all_known(b, count):
    return range(count)


def bitmap(b, count):
    bits = int.from_bytes(b.take((count + 7) // 8), "little")
    return [i for i in range(count) if bits >> i & 1]


def runs(b, count):
    slots, at, known = [], 0, True
    while at < count:
        run = b.uvarint()
        if not 1 <= run <= count - at:
            raise Damaged("runs of slots do not fit")
        if known:
            slots.extend(range(at, at + run))
        at, known = at + run, not known
    return slots


def constant(b, n):
    return [b.float()] * n


def raw(b, n):
    return [b.float() for _ in range(n)]


def xor(b, n):
    left = 8 * b.left()
    bits = int.from_bytes(b.take(b.left()), "big")

    def read(count):
        nonlocal left
        left -= count
        if left < 0:
            raise Damaged("ends too early")
        return bits >> left & (1 << count) - 1

    values, zeros, size = [read(64)], 0, 0
    while len(values) < n:
        difference = 0
        if read(1):
            if read(1):
                zeros, size = read(5), read(6) + 1
            if not 1 <= size <= 64 - zeros:
                raise Damaged("window does not fit")
            difference = read(size) << 64 - zeros - size
        values.append(values[-1] ^ difference)
    if left > 7:
        raise Damaged("chunk is too long")
    return struct.unpack("<%dd" % n, struct.pack("<%dQ" % n, *values))


def thirds(b, n):
    return decimals(b, n, 3)


def decimals(b, n, divisor=1):
    odd, place = {}, 0
    for _ in range(b.uvarint()):
        place += b.uvarint()
        odd[place] = b.float()
    exponent, order, factor = b.u8(), b.u8(), b.uvarint()
    if place >= n or exponent > 15 or order > min(2, n) or factor < 1:
        raise Damaged("decimals do not fit")
    firsts = [b.varint() for _ in range(order)]
    numbers = []
    while len(numbers) < n - order:
        numbers += group(b, min(64, n - order - len(numbers)))
    numbers = [number * factor for number in numbers]
    for first in reversed(firsts):
        numbers = list(itertools.accumulate(numbers, initial=first))
    return [odd.get(i, number / 10**exponent / divisor) for i, number in enumerate(numbers)]


def group(b, n):
    head, base = b.u8(), b.varint()
    width = head & 63
    packed = int.from_bytes(b.take((n * width + 7) // 8), "little")
    distances = [packed >> i * width & (1 << width) - 1 for i in range(n)]
    if head & 128:
        for _ in range(b.u8()):
            place = b.u8()
            if place >= n:
                raise Damaged("exception outside its group")
            distances[place] |= b.uvarint() << width
    return [base + (unfold(d) if head & 64 else d) for d in distances]


# Files


def read_block(path, id):
    """The step of a block, and time → value of one series."""
    with open(path, "rb") as file:
        if os.fstat(file.fileno()).st_size < 40 + 24:
            raise Damaged("too short for a block")
        data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    with data:
        magic, version, step, _, start, _, crc = struct.unpack("<8sIIQqII", data[:40])
        if magic != b"STEERBLK" or crc != checksum(data[:36]):
            raise Damaged("header")
        if version not in (1, 2):
            unknown("%s: version %d of blocks" % (path, version))
        tail = data[-24:]
        at, count, crc, magic = struct.unpack("<QII8s", tail)
        directory = data[at:-24]
        if magic != b"STEEREND" or len(directory) != 32 * count or crc != checksum(directory + tail[:12]):
            raise Damaged("trailer or directory")
        pages = list(struct.iter_unpack("<IQQIII", directory))
        number = bisect.bisect([page[0] for page in pages], id) - 1
        if number < 0:
            return step, {}
        at_id, offset, at, length, crc, count = pages[number]
        page = data[at:at + length]
        if checksum(page) != crc:
            raise Damaged("index page %d" % number)
        page = Bytes(page)
        for _ in range(count):
            at_id += page.uvarint()
            length, first, slots = page.uvarint(), page.uvarint(), page.uvarint()
            crc = page.take(4)
            if at_id == id:
                part = data[offset:offset + length]
                if struct.pack("<I", checksum(part)) != crc:
                    raise Damaged("chunk of series %d" % id)
                return step, {(start + first + slot) * step: value for slot, value in chunk(part, slots)}
            offset += length
        return step, {}


def frame(data, at):
    """The payload of the frame at an offset, None if there is none."""
    if data[at:at + 2] != b"\xd7\x5e" or len(data) < at + 10:
        return None
    length, crc = struct.unpack("<II", data[at + 2:at + 10])
    payload = data[at + 10:at + 10 + length]
    if not 1 <= length == len(payload) <= 1 << 26:
        return None
    return payload if checksum(struct.pack("<Q", at) + data[at + 2:at + 6] + payload) == crc else None


class Store:
    def __init__(self, folder):
        self.folder, self.damaged = folder, False
        self.ids = {}  # name → id
        self.points = {}  # of the log: id → list of clock, time, value
        self.read_frames(os.path.join(folder, "names"))
        for _, path in self.files("wal", "([0-9]+)[.]wal"):
            self.read_frames(path)

    def warn(self, path, text):
        print("read_metrics: %s: damaged: %s" % (path, text), file=sys.stderr)
        self.damaged = True

    def files(self, folder, pattern):
        """The files whose names match, by the number in the pattern."""
        found = []
        for folder, _, names in os.walk(os.path.join(self.folder, folder)):
            for match in filter(None, (re.fullmatch(pattern, name) for name in names)):
                found.append((int(match[1]), os.path.join(folder, match[0])))
        return sorted(found)

    def read_frames(self, path):
        with open(path, "rb") as file:
            data = file.read()
        at = end = 0
        while at >= 0:
            payload = frame(data, at)
            if payload is None:
                at = data.find(b"\xd7\x5e", at + 1)
                continue
            if at > end:
                self.warn(path, "%d bytes at %d" % (at - end, end))
            try:
                self.read_records(path, Bytes(payload))
            except Damaged as e:
                self.warn(path, "frame at %d: %s" % (at, e))
            at = end = at + 10 + len(payload)

    def read_records(self, path, b):
        name, clock = b"", None
        while b.left():
            id = b.uvarint()
            if id:
                back, value = b.varint(), b.float()
                if clock is None:
                    raise Damaged("point without a clock")
                self.points.setdefault(id, []).append((clock, clock - back, value))
                continue
            kind = b.u8()
            if kind == 1:
                clock = b.varint()
            elif kind in (2, 3):
                id = b.uvarint()
                shared = b.uvarint() if kind == 3 else 0
                name = name[:shared] + b.take(b.uvarint())
                self.ids[name] = id
            else:
                unknown("%s: kind of record %d" % (path, kind))

    def values(self, name):
        """What is known of a series: step → time → value."""
        id, steps = self.ids[name], {}
        for _, path in self.files("blocks", "-?[0-9]+-[0-9]+-([0-9]+)[.]blk"):
            try:
                step, known = read_block(path, id)
                steps.setdefault(step, {}).update(known)
            except Damaged as e:
                self.warn(path, e)
        points = self.points.get(id, [])
        archives = self.archives(name) if points else []
        for clock, time, value in points:
            step = place(archives, clock, time)
            if step:
                steps.setdefault(step, {})[time // step * step] = value
        return {step: known for step, known in steps.items() if known}

    def archives(self, name):
        """Step and keep of the archives of a series, from fine to coarse."""
        with open(os.path.join(self.folder, "retentions.json")) as file:
            schemas = json.load(file)[-1]["schemas"]
        name = name.decode(errors="surrogateescape")
        retentions = next(s["retentions"] for s in schemas if re.search(s["pattern"], name))
        return [tuple(map(seconds, archive.split(":"))) for archive in retentions.split(",")]


def seconds(span):
    units = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400, "y": 365 * 86400}
    return int(span[:-1]) * units[span[-1]]


def place(archives, clock, time):
    """The step of the archive that a point of the log went to, None if it is too old."""
    coarsest, longest = archives[-1]
    if clock - time >= longest:
        return None
    age = clock - time // coarsest * coarsest
    return next((step for step, keep in archives if keep + coarsest > age), coarsest)


def main(arguments):
    if not 2 <= len(arguments) <= 3:
        sys.exit(__doc__)
    store = Store(arguments[0])
    if arguments[1] == "--list":
        sys.stdout.buffer.writelines(name + b"\n" for name in sorted(store.ids))
        return store.damaged
    name = os.fsencode(arguments[1])
    if name not in store.ids:
        sys.exit("read_metrics: there is no series %s" % arguments[1])
    steps = store.values(name)
    step = int(arguments[2]) if len(arguments) > 2 else min(steps, default=0)
    for time, value in sorted(steps.get(step, {}).items()):
        print("%d,%r" % (time, value))
    return store.damaged


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
