#!/usr/bin/env python3
"""Tests vhost-user backends with real guests: Debian's cloud kernel in QEMU.

Each scenario starts a backend and one or more guests, and looks at what the guest saw and at what
the image holds, or at what came through the network card. scripts/setup-guest makes what is booted; Tests/Guest/init is what the guest runs.
The logs of each scenario's last run stay below .build/guest/logs.
"""

import argparse
import contextlib
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import zlib

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = ROOT / ".build" / "guest"
MIB = 1 << 20

GUEST_SECONDS = 90  # that a guest may take for its task
NETWORK_SECONDS = 300  # that a guest may take for its file there and back
PROGRESS_SECONDS = 20  # that may pass until the next write is acknowledged
TERMINATION_SECONDS = 5  # from SIGTERM to a backend's end
SILENCE_SECONDS = 5  # for which a guest is watched that should get no answer

# Node 1, which the backend gets; the rest is node 0, which it does not get. In MiB.
WINDOW = 64
# The kernel is then in node 0, and its swiotlb, allocated from the top, finds room in node 1.
SPLIT_MEMORY_WORDS = "nokaslr"
SPLIT_SWIOTLB = "swiotlb=16384,force"


class Failure(Exception):
    """What is not as it must be, in a sentence."""


def expect(condition, sentence):
    if not condition:
        raise Failure(sentence)


# --- Backends -----------------------------------------------------------------------------------


class Bounced:
    restricted = True  # offers VIRTIO_F_ACCESS_PLATFORM
    packed = True
    refuses = True  # requests it cannot reach, and nothing else
    recovers = True  # goes on where it ended, or was killed
    network = True  # serves network cards
    program = ROOT / ".build/release/bounced"

    def __init__(self, program):
        self.program = program or self.program

    def command(self, socket, image):
        return [
            self.program, "blk", "--socket-path", socket, "--blk-file", image, "--num-queues", 4
        ]

    def card_command(self, socket, tap, pairs):
        return [self.program, "net", "--socket-path", socket, "--tap", tap, "--num-queues", pairs]


class StorageDaemon(Bounced):
    restricted = packed = refuses = recovers = network = False
    program = "qemu-storage-daemon"

    def command(self, socket, image):
        file = f"driver=file,filename={image},aio=io_uring,cache.direct=on,discard=unmap"
        export = f"vhost-user-blk,addr.type=unix,addr.path={socket},writable=on,num-queues=4"
        return [
            self.program, "--blockdev", f"{file},node-name=file",
            "--export", f"{export},node-name=file,id=export",
        ]


BACKENDS = {"bounced": Bounced, "qsd": StorageDaemon}


# --- What runs during a scenario ----------------------------------------------------------------


class Bench:
    """A scenario's processes, image, socket and logs; all but the logs are gone at its end."""

    def __init__(self, name, options):
        self.options = options
        self.backend = BACKENDS[options.backend](options.program)
        self.random = random.Random(f"{options.seed} {name}")
        self.logs = BUILD / "logs" / name
        self.stack = contextlib.ExitStack()

    def __enter__(self):
        shutil.rmtree(self.logs, ignore_errors=True)
        self.logs.mkdir(parents=True)
        # Where the build is, there is a disk for direct I/O; a socket's path must be short.
        images = self.stack.enter_context(tempfile.TemporaryDirectory(dir=BUILD, prefix="images-"))
        sockets = self.stack.enter_context(tempfile.TemporaryDirectory(prefix="bounce-"))
        self.image = pathlib.Path(images, "image")
        self.acknowledgements = pathlib.Path(images, "acknowledgements")
        self.socket = pathlib.Path(sockets, "socket")
        self.monitor = pathlib.Path(sockets, "monitor")
        self.progress = pathlib.Path(images, "progress")
        return self

    def __exit__(self, *error):
        self.stack.close()

    def start(self, title, command, log, **streams):
        command = [str(word) for word in command]
        output = self.stack.enter_context(open(self.logs / log, "ab"))
        output.write((" ".join(command) + "\n").encode())
        output.flush()
        streams = {"stdin": subprocess.DEVNULL, "stdout": output, "stderr": output} | streams
        try:
            process = subprocess.Popen(command, **streams)
        except OSError as error:
            raise Failure(f"{command[0]} cannot be started: {error.strerror}.")
        process.title = title
        self.stack.callback(stop, process)
        return process

    def start_backend(self, command=None):
        """Starts the backend, and waits for its socket, not that of a killed backend."""
        old = identity(self.socket)
        command = command or self.backend.command(self.socket, self.image)
        process = self.start("the backend", command, "backend.log")
        listens = lambda: identity(self.socket) not in (None, old)
        wait_until(listens, 10, "the backend made no socket", process)
        return process

    def make_image(self, byte_count, content=b""):
        with open(self.image, "wb") as file:
            file.write(content)
            file.truncate(byte_count)
            os.fsync(file.fileno())


def stop(process):
    process.kill()
    process.wait()
    if process.stdin:
        process.stdin.close()


def identity(path):
    """Differs between a file and the one that took its place; None where there is none."""
    with contextlib.suppress(FileNotFoundError):
        status = path.stat()
        return status.st_ino, status.st_ctime_ns


def wait_until(condition, seconds, complaint, *processes):
    """Waits for a condition while the processes live."""
    deadline = time.monotonic() + seconds
    while not condition():
        for process in processes:
            status = process.poll()
            expect(status is None, f"{process.title} ended with status {status}.")
        expect(time.monotonic() < deadline, f"{complaint} within {seconds} s.")
        time.sleep(0.02)


class Guest:
    """A guest with a task of Tests/Guest/init, and a disk unless it has a `card`.

    With `split`, the backend gets node 1 of its memory only, and the processors are of node
    `processor_node`. `words` are for the kernel's command line, where `init` finds them.
    """

    def __init__(
        self, bench, task, queues=1, packed=False, swiotlb="swiotlb=force", split=False,
        processor_node=0, card=None, **words
    ):
        self.queues, self.packed = queues, packed
        self.restricted = bench.backend.restricted
        self.console = bench.logs / f"console-{task}.log"
        words = [f"{name}={value}" for name, value in words.items()] + [f"task={task}", swiotlb]
        mebibytes = 512 if card else 256
        if split:
            words.append(SPLIT_MEMORY_WORDS)
            memory = split_memory(mebibytes, processor_node)
        else:
            memory = shared_memory(mebibytes)
        options = f"disable-legacy=on,{switches(packed=packed, iommu_platform=self.restricted)}"
        device = card_arguments(bench, queues, card) if card else disk_arguments(bench, queues)
        command = [
            "qemu-system-x86_64", "-accel", bench.options.accel, "-cpu", "max", "-smp", queues,
            *memory,
            "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-serial", "stdio",
            "-kernel", BUILD / "vmlinuz", "-initrd", BUILD / "initrd.gz",
            "-append", " ".join(["console=ttyS0 quiet panic=-1", *words]),
            "-chardev", f"socket,id=backend,path={bench.socket},reconnect=1",
            *device[:-1], f"{device[-1]},{options}",
            "-chardev", f"file,id=acknowledgements,path={bench.acknowledgements}",
            "-device", "virtio-serial-pci", "-device", "virtserialport,chardev=acknowledgements",
        ]
        with open(self.console, "wb") as console:
            self.process = bench.start(
                "QEMU", command, "qemu.log", stdin=subprocess.PIPE, stdout=console
            )

    @property
    def facts(self):
        """What the guest reported so far: {name: value}."""
        lines = self.console.read_text(errors="replace").splitlines()
        reports = [line.split(maxsplit=2) for line in lines if line.startswith("@ ")]
        # The first report of a name is the one that counts: a failure's cause, not what followed.
        return {report[1]: " ".join(report[2:]) for report in reversed(reports)}

    def finish(self, backend, seconds=GUEST_SECONDS):
        """Waits for the guest's end, and returns the facts: those of a device as it was to be."""
        ended = lambda: self.process.poll() is not None
        wait_until(ended, seconds, "the guest did not power off", backend)
        facts = self.facts
        status = self.process.returncode
        expect("result" in facts, f"QEMU ended with status {status}, its guest without a result.")
        expect(facts["result"] == "ok", f"in the guest, {facts['result']}.")
        expect(facts["queues"] == str(self.queues), f"the device has {facts['queues']} queues.")
        self.expect_features(facts, access_platform=self.restricted, packed=self.packed)
        return facts

    def expect_features(self, facts, **features):
        for name, value in features.items():
            found = facts["features"][FEATURES[name]] == "1"
            expect(found == value, f"the device has {name} {found}.")


FEATURES = {
    "checksum": 0, "receive_checksum": 1, "receive_tso": 7, "tso": 11, "mergeable": 15,
    "multiqueue": 22, "access_platform": 33, "packed": 34,
}


def switches(**values):
    return ",".join(f"{name}={'on' if value else 'off'}" for name, value in values.items())


def disk_arguments(bench, queues):
    return ["-device", f"vhost-user-blk-pci,chardev=backend,num-queues={queues}"]


def shared_memory(mebibytes):
    return [
        "-m", f"{mebibytes}M", "-machine", "q35,memory-backend=shared",
        "-object", f"memory-backend-memfd,id=shared,size={mebibytes}M,share=on",
    ]


def split_memory(mebibytes, processor_node):
    private = mebibytes - WINDOW
    return [
        # SeaBIOS reads from disks, with buffers at low addresses, and waits for ever if it cannot.
        "-bios", "qboot.rom",
        "-m", f"{mebibytes}M", "-machine", "q35",
        "-object", f"memory-backend-ram,id=private,size={private}M",
        "-object", f"memory-backend-memfd,id=shared,size={WINDOW}M,share=on",
        "-numa", "node,nodeid=0,memdev=private", "-numa", "node,nodeid=1,memdev=shared",
        "-numa", f"cpu,node-id={processor_node},socket-id=0",
    ]


# --- Scenarios: what each needs of a backend, and a line about what it saw ----------------------


def use_filesystem(bench, backend, queues=1, **arguments):
    """An ext4 file system, made, filled and checked, through all queues and the guest's swiotlb."""
    guest = Guest(bench, "filesystem", queues, **arguments)
    facts = guest.finish(backend)
    expect(facts["queues-used"] == str(queues), f"{facts['queues-used']} queues were used.")
    expect(int(facts["hiwater"]) > 0 or not guest.restricted, "the guest's swiotlb was not used.")
    return f"at most {facts['hiwater']} slots of swiotlb in use"


def filesystem(bench, **arguments):
    bench.make_image(64 * MIB)
    return use_filesystem(bench, bench.start_backend(), **arguments)


def window(bench, **arguments):
    """The same, when the backend gets no memory but that of the guest's swiotlb and its rings."""
    arguments |= {"split": True, "swiotlb": SPLIT_SWIOTLB, "ring_node": 1}
    return filesystem(bench, **arguments)


def discard(bench, **arguments):
    """Discarded blocks are given back to the host, zeroed ones read zero, others are kept."""
    discarded, zeroed = range(4 * MIB, 12 * MIB), range(13 * MIB + 4096, 15 * MIB)
    content = bench.random.randbytes(16 * MIB)
    bench.make_image(len(content), content)
    allocated = bench.image.stat().st_blocks
    words = lambda part: f"{part.start}:{len(part)}"
    arguments |= {"discard": words(discarded), "zero": words(zeroed)}
    backend = bench.start_backend()
    Guest(bench, "discard", **arguments).finish(backend)

    image = bench.image.read_bytes()
    freed = (allocated - bench.image.stat().st_blocks) * 512
    expect(freed >= len(discarded), f"a discard of {len(discarded)} bytes freed {freed}.")
    expect(not any(image[zeroed.start : zeroed.stop]), "zeroed blocks do not read zero.")
    kept = [(0, discarded.start), (discarded.stop, zeroed.start), (zeroed.stop, len(content))]
    for start, stop in kept:
        expect(image[start:stop] == content[start:stop], "blocks beyond the ranges were changed.")
    return f"{freed // 1024} KiB freed"


# As in node-io.c.
NODE_IO_KINDS = [
    "write-inside", "read-inside", "write-outside", "read-outside", "write-across", "read-across"
]
NODE_IO_ROUNDS = 64
NODE_IO_BYTES = NODE_IO_ROUNDS * 8192


def outside(bench):
    """Requests with buffers that the backend cannot reach fail; those between them do not."""
    bench.make_image(64 * MIB)
    backend = bench.start_backend()
    # Rings, headers and status bytes are allocated where the processors are.
    guest = Guest(bench, "node_io", swiotlb="", split=True, processor_node=1)
    facts = guest.finish(backend)
    image = bench.image.read_bytes()
    for number, kind in enumerate(NODE_IO_KINDS):
        wanted = f"{NODE_IO_ROUNDS} 0" if kind.endswith("inside") else f"0 {NODE_IO_ROUNDS}"
        expect(
            facts[kind] == wanted,
            f"{kind} succeeded and failed {facts[kind]} times, not {wanted}.",
        )
        byte = b"\xee" if kind == "write-inside" else b"\0"
        area = image[number * NODE_IO_BYTES : (number + 1) * NODE_IO_BYTES]
        expect(area == byte * NODE_IO_BYTES, f"the image is not what {kind} must leave of it.")
    use_filesystem(bench, backend)
    return f"{4 * NODE_IO_ROUNDS} requests refused"


def unreachable(bench, **arguments):
    """A guest with headers, or rings, out of reach gets no data; the backend serves the next."""
    bench.make_image(64 * MIB)
    backend = bench.start_backend()
    guest = Guest(bench, "read_nothing", swiotlb="", split=True, **arguments)
    booted = lambda: "loading" in guest.facts
    wait_until(booted, GUEST_SECONDS, "the guest did not boot", guest.process, backend)
    with contextlib.suppress(subprocess.TimeoutExpired):
        guest.process.wait(SILENCE_SECONDS)
    result = guest.facts.get("result", "ok")
    expect(result == "ok", f"in the guest, {result}.")
    stop(guest.process)
    return use_filesystem(bench, backend)


BLOCK_BYTES = 8192  # as in writer.c
BLOCK_COUNT = 64


def restarts(bench, number, count, **arguments):
    """The backend ends under writes and is started again; nothing that was acknowledged is lost."""
    bench.make_image(2 * BLOCK_COUNT * BLOCK_BYTES)
    backend = bench.start_backend()
    guest = Guest(bench, "write", queues=2, seed=bench.random.randrange(1, 1 << 31), **arguments)
    acknowledged_bytes = lambda: bench.acknowledgements.stat().st_size

    def wait_for_writes(event, seconds=PROGRESS_SECONDS):
        before = acknowledged_bytes()
        wait_until(
            lambda: acknowledged_bytes() > before or "result" in guest.facts, seconds,
            f"no write was acknowledged after {event}", guest.process, backend
        )
        facts = guest.facts
        expect("result" not in facts, f"in the guest, {facts.get('result')}, after {event}.")

    wait_until(bench.acknowledgements.exists, 10, "QEMU did not start", guest.process)
    wait_for_writes("the guest's start", GUEST_SECONDS)
    for attempt in range(1, count + 1):
        time.sleep(bench.random.uniform(0.1, 1))
        backend.send_signal(number)
        ended = lambda: backend.poll() is not None
        wait_until(ended, TERMINATION_SECONDS, f"{number.name} did not end the backend")
        if number == signal.SIGTERM:
            expect(backend.returncode == 0, f"SIGTERM ended it with status {backend.returncode}.")
        backend = bench.start_backend()
        wait_for_writes(f"{attempt} restarts")
    guest.process.stdin.write(b"enough\n")
    guest.process.stdin.flush()
    guest.finish(backend)
    return f"{check_writes(bench)} writes, {count} times {number.name}"


def check_writes(bench):
    """The image must hold the last acknowledged writes: none is under way. Returns their number."""
    last = [0] * BLOCK_COUNT
    records = bench.acknowledgements.read_bytes()
    for number, sequence in struct.iter_unpack("<II", records):
        expect(
            sequence == last[number] + 1,
            f"write {sequence} of block {number} came after {last[number]}.",
        )
        last[number] = sequence
    image = bench.image.read_bytes()
    for number in range(BLOCK_COUNT):
        block = image[number * BLOCK_BYTES : (number + 1) * BLOCK_BYTES]
        checksum, found_number, sequence = struct.unpack_from("<III", block)
        if last[number] == 0 and not any(block):
            continue
        expect(
            checksum == zlib.crc32(block[4:]) and found_number == number,
            f"block {number} of the image holds no write of that block.",
        )
        expect(
            sequence == last[number],
            f"block {number} of the image holds write {sequence}, not {last[number]}.",
        )
    expect(not any(image[BLOCK_COUNT * BLOCK_BYTES :]), "something was written behind all blocks.")
    return sum(last)


# --- Network cards ------------------------------------------------------------------------------

NETWORK = {"address": "192.0.2.2", "neighbour": "192.0.2.1"}
TAP = "tap0"


def card_arguments(bench, pairs, card):
    """A network card with `mergeable` receive buffers and `offloads`, or not; monitored."""
    offloads = [
        "csum", "guest_csum", "gso", "host_tso4", "host_tso6", "guest_tso4", "guest_tso6",
        "host_ecn", "guest_ecn", "host_ufo", "guest_ufo",
    ]
    options = {"mq": pairs > 1, "mrg_rxbuf": card["mergeable"]}
    options |= {name: card["offloads"] for name in offloads}
    # QEMU 7.2 without KVM ends with a null pointer where a vhost-user card has MSI-X.
    vectors = 0 if bench.options.accel == "tcg" else 2 * pairs + 2
    return [
        "-qmp", f"unix:{bench.monitor},server=on,wait=off",
        "-netdev", f"vhost-user,id=net,chardev=backend,queues={pairs}",
        "-device", f"virtio-net-pci,netdev=net,romfile=,vectors={vectors},{switches(**options)}",
    ]


class Network:
    """A network namespace with a TAP device, and a neighbour that sends files back."""

    # Who is not root is, in a namespace of users as well.
    user = [] if os.geteuid() == 0 else ["--user"]
    unshare = ["unshare", *(["--map-root-user"] if user else []), "--net"]

    @classmethod
    def is_possible(cls):
        """Whether this machine lets a TAP device be made."""
        command = [*cls.unshare, "ip", "tuntap", "add", "dev", TAP, "mode", "tap"]
        return subprocess.run(command, capture_output=True).returncode == 0

    def __init__(self, bench, pairs):
        user = self.user
        namespace = bench.start(
            "the namespace", [*self.unshare, "sleep", "infinity"], "network.log"
        )
        own = os.readlink("/proc/self/ns/net")
        entered = lambda: os.readlink(f"/proc/{namespace.pid}/ns/net") != own
        wait_until(entered, 10, "there is no network namespace", namespace)
        credentials = ["--preserve-credentials"] if user else []
        self.enter = ["nsenter", f"--target={namespace.pid}", "--net", *user, *credentials, "--"]
        queues = ["multi_queue"] if pairs > 1 else []
        for words in (
            ["tuntap", "add", "dev", TAP, "mode", "tap", *queues],
            ["address", "add", f"{NETWORK['neighbour']}/24", "dev", TAP], ["link", "set", TAP, "up"]
        ):
            made = subprocess.run([*self.enter, "ip", *words], capture_output=True, text=True)
            expect(made.returncode == 0, f"'ip {' '.join(words)}' failed: {made.stderr.strip()}")
        echo = [*self.enter, sys.executable, ROOT / "Tests/Guest/echo.py", bench.progress]
        bench.start("the neighbour", echo, "network.log")
        self.backend = [*self.enter, *bench.backend.card_command(bench.socket, TAP, pairs)]


def set_link(bench, is_up):
    """Takes the card's cable out, or puts it in."""
    commands = [
        {"execute": "qmp_capabilities"},
        {"execute": "set_link", "arguments": {"name": "net", "up": is_up}},
    ]
    with socket.socket(socket.AF_UNIX) as monitor:
        monitor.settimeout(10)
        monitor.connect(str(bench.monitor))
        lines = monitor.makefile("rw")
        lines.readline()  # the greeting
        for command in commands:
            lines.write(json.dumps(command))
            lines.flush()
            while "return" not in (answer := json.loads(lines.readline())):
                expect("error" not in answer, f"QEMU says {answer}.")


def network(bench, pairs=1, mergeable=True, offloads=True, kills=0, **arguments):
    """Ping, link down and up, and files there and back, also while the backend is killed.

    With `toggled`, files of so many MiB more, while the driver does not use the offloads and does again.
    """
    net = Network(bench, pairs)
    backend = bench.start_backend(net.backend)
    card = {"mergeable": mergeable, "offloads": offloads}
    arguments |= NETWORK | {"mebibytes": bench.options.mebibytes}
    guest = Guest(bench, "network", pairs, card=card, **arguments)

    def wait_for(condition, complaint, seconds=GUEST_SECONDS):
        ended = lambda: condition() or "result" in guest.facts
        wait_until(ended, seconds, complaint, guest.process, backend)
        expect("result" not in guest.facts, f"in the guest, {guest.facts.get('result')}.")

    wait_for(lambda: "answered" in guest.facts, "the neighbour did not answer")
    for is_up in (False, True):
        set_link(bench, is_up)
        seen = lambda: f"link-{int(is_up)}" in guest.facts
        wait_for(seen, f"the guest did not see its link {'up' if is_up else 'down'}")
    for attempt in range(1, kills + 1):
        wait_for_progress(bench, wait_for, f"{attempt - 1} kills")
        backend.kill()
        backend.wait()
        backend = bench.start_backend(net.backend)
    wait_for_progress(bench, wait_for, f"{kills} kills")
    guest.process.stdin.write(b"enough\n")
    guest.process.stdin.flush()
    facts = guest.finish(backend, NETWORK_SECONDS)
    guest.expect_features(
        facts, mergeable=mergeable, multiqueue=pairs > 1, checksum=offloads, tso=offloads,
        receive_checksum=offloads, receive_tso=offloads,
    )
    expect(int(facts["swiotlb"]) > 0, "the guest's swiotlb was not used.")
    begin, end = map(float, facts["transfer-1"].split())
    count = sum(name.removeprefix("transfer-").isdigit() for name in facts)
    toggled = [name for name in ("transfer-off", "transfer-on") if name in facts]
    expect(len(toggled) == (2 if "toggled" in arguments else 0), f"of files more came {toggled}.")
    return (
        f"{count} times {bench.options.mebibytes} MiB there and back, the first in {end - begin:.1f} s;"
        f" {kills} times killed; {facts['swiotlb']} slots of swiotlb in use"
    )


def wait_for_progress(bench, wait_for, event):
    """Waits until more has come to the neighbour."""
    read = lambda: bench.progress.read_text() if bench.progress.exists() else ""
    before = read()
    moved = lambda: read() not in ("", before)
    wait_for(moved, f"nothing came to the neighbour after {event}", GUEST_SECONDS)


# --- The program --------------------------------------------------------------------------------

# name: (function, its arguments, what the backend must be capable of)
SCENARIOS = {
    "filesystem": (filesystem, {}, []),
    "filesystem-4-queues": (filesystem, {"queues": 4}, []),
    "filesystem-packed": (filesystem, {"packed": True}, ["packed"]),
    "filesystem-packed-4-queues": (filesystem, {"packed": True, "queues": 4}, ["packed"]),
    "discard": (discard, {}, []),
    "discard-packed": (discard, {"packed": True}, ["packed"]),
    "window": (window, {}, ["restricted"]),
    "window-packed-4-queues": (window, {"packed": True, "queues": 4}, ["restricted", "packed"]),
    "outside": (outside, {}, ["refuses"]),
    "unreachable-headers": (unreachable, {"ring_node": 1}, ["restricted"]),
    "unreachable-rings": (unreachable, {}, []),
    "sigterm": (restarts, {"number": signal.SIGTERM, "count": 5}, ["recovers"]),
    "kill": (restarts, {"number": signal.SIGKILL, "count": 50}, ["recovers"]),
    "kill-packed": (
        restarts, {"number": signal.SIGKILL, "count": 50, "packed": True}, ["recovers", "packed"]
    ),
    "network-window": (
        network, {"split": True, "swiotlb": SPLIT_SWIOTLB, "ring_node": 1, "toggled": 10},
        ["network"]
    ),
    "network-plain-packed-2-pairs": (
        network, {"pairs": 2, "packed": True, "mergeable": False, "offloads": False},
        ["network", "packed"]
    ),
    # QEMU does not know where a killed backend was in a packed ring, and asks no network card.
    "network-kill-2-pairs": (
        network, {"pairs": 2, "mergeable": False, "kills": 5}, ["network", "recovers"]
    ),
}


def run(name, options):
    """Runs a scenario and prints its line; after a failure, also what the logs end with."""
    function, arguments, _ = SCENARIOS[name]
    begin = time.monotonic()
    failure = None
    with Bench(name, options) as bench:
        try:
            saw = function(bench, **arguments)
        except Failure as error:
            failure = error
    seconds = f"{time.monotonic() - begin:.1f} s"
    if not failure:
        print(f"{name}: ok, {seconds}: {saw}", flush=True)
        return True
    print(f"{name}: FAILED, {seconds}: {failure}", flush=True)
    for log in sorted(bench.logs.iterdir()):
        print(f"  The end of {log.relative_to(ROOT)}:")
        for line in log.read_text(errors="replace").splitlines()[-20:]:
            print(f"    {line}")
    return False


def select(options):
    """What the command line's words are, or are part of; without any, what the backend can do."""
    if options.words:
        named = lambda name, word: word == name or (word not in SCENARIOS and word in name)
        return [name for name in SCENARIOS if any(named(name, word) for word in options.words)]
    backend = BACKENDS[options.backend]
    able = lambda needs: all(getattr(backend, need) for need in needs)
    return [name for name, (_, _, needs) in SCENARIOS.items() if able(needs)]


def main():
    parser = argparse.ArgumentParser(description="Tests vhost-user backends with real guests.")
    parser.add_argument("words", nargs="*", help="scenarios, or parts of their names")
    parser.add_argument("--list", action="store_true", help="print the scenarios' names")
    parser.add_argument("--backend", choices=BACKENDS, default="bounced")
    parser.add_argument("--program", help="the backend's program, in place of the usual one")
    parser.add_argument("--accel", default="tcg", help="QEMU's accelerator (default: tcg)")
    parser.add_argument(
        "--mebibytes", type=int, default=100,
        help="how much goes through a network card and back (default: 100)",
    )
    parser.add_argument(
        "--seed", type=int, default=random.randrange(1 << 31),
        help="decides when a backend is killed, and what is written",
    )
    options = parser.parse_args()
    names = select(options)
    if options.list:
        print("\n".join(names))
        return 0
    if not names:
        parser.error("no scenario has such a name")
    # An exception, so that what was started is stopped.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    print(f"seed {options.seed}", flush=True)
    if not options.words and not Network.is_possible():
        print("left out are those with a network card: no TAP device can be made here", flush=True)
        names = [name for name in names if "network" not in SCENARIOS[name][2]]
    passed = sum(run(name, options) for name in names)
    print(f"{passed} passed, {len(names) - passed} failed")
    return 0 if passed == len(names) else 1


if __name__ == "__main__":
    sys.exit(main())
