"""What a kernel lets a process do to its machine: devices, mounts, control groups, namespaces, odd calls.

What would harm if it succeeded is begun and not done: a file opened for writing is not written, a call is
given nothing to work on.
"""

import ctypes
import mmap
import os
import platform
import socket
import subprocess
import time
from pathlib import Path

from tests.hostile_container.attempt import MACHINES, SHARED, Facts, Refused, attempt
from tests.hostile_container.files import opened
from tests.hostile_container.first_process import gone_past

CLONE_NEWNS, CLONE_NEWUSER, CLONE_NEWNET = 0x20000, 0x10000000, 0x40000000
MS_REMOUNT, MS_BIND = 32, 4096
CALLS = {
    "x86_64": {"bpf": 321, "perf_event_open": 298, "io_uring_setup": 425,
               "fsopen": 430, "swapon": 167, "fanotify_init": 300, "syslog": 103,
               "add_key": 248},
    "aarch64": {"bpf": 280, "perf_event_open": 241, "io_uring_setup": 425,
                "fsopen": 430, "swapon": 224, "fanotify_init": 262, "syslog": 116,
                "add_key": 217},
}  # fmt: skip
libc = ctypes.CDLL(None, use_errno=True)


def done(answer: int) -> None:
    """Raise as Python would for a call of the C library that has failed."""
    if answer < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def called(name: str, *arguments: object) -> str:
    """Ask the kernel for something that the C library has no name for."""
    number = CALLS[platform.machine()].get(name)
    if number is None:
        raise Refused("this kind of machine has no such call")
    ctypes.set_errno(0)
    answer = libc.syscall(number, *arguments)
    return gone_past(name, ctypes.get_errno() if answer < 0 else 0)


@attempt("a device node of the machine's disk", wall="root", process=MACHINES)
def device_node(_facts: Facts) -> str:
    os.mknod("/tmp/disk", 0o60600, os.makedev(254, 0))
    os.unlink("/tmp/disk")
    return "made it"


@attempt("the machine's disks, where the engine has put them", wall="root", process=MACHINES)
def disks(_facts: Facts) -> str:
    found = [name for name in os.listdir("/sys/class/block") if os.path.exists(f"/dev/{name}")]
    if not found:
        raise Refused("none has a device here")
    os.close(os.open(f"/dev/{found[0]}", os.O_RDONLY))
    return f"opened {found[0]} of {len(found)}"


@attempt("a file system mounted", wall="root", process=MACHINES)
def mounted(_facts: Facts) -> str:
    done(libc.mount(b"none", b"/tmp", b"tmpfs", 0, b"size=1m"))
    done(libc.umount2(b"/tmp", 2))
    return "mounted one, and unmounted it"


@attempt("the image mounted anew, to be written", wall="root", process=MACHINES)
def remounted(_facts: Facts) -> str:
    done(libc.mount(b"none", b"/opt/egg/lib", None, MS_REMOUNT | MS_BIND, None))
    return opened("/opt/egg/lib/egg_tasks/runners/shim.py")


@attempt("another root for what is started (chroot)", wall="root", process=MACHINES)
def other_root(_facts: Facts) -> str:
    before = os.open("/", os.O_RDONLY)
    os.chroot("/tmp")
    # To write down what has become of it.
    os.fchdir(before)
    os.chroot(".")
    return "changed it"


@attempt("being root: setuid(0)", wall="root", process=MACHINES)
def become_root(_facts: Facts) -> str:
    os.setuid(0)
    return "it is"


@attempt("being in other groups", wall="root", process=MACHINES)
def other_groups(_facts: Facts) -> str:
    os.setgroups([0, 42])
    return f"groups {os.getgroups()}"


@attempt("packets as it likes them (a raw socket)", wall="root", process=MACHINES)
def raw_packets(_facts: Facts) -> str:
    socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP).close()
    return "has a socket that makes its own"


@attempt("a limit of its own raised: its control group's file", wall="root", process=MACHINES)
def limit_raised(_facts: Facts) -> str:
    old = Path("/sys/fs/cgroup/pids")
    place = old if old.exists() else old.parent
    try:
        return opened(f"{place}/pids.max")
    except OSError:
        done(libc.mount(b"none", os.fsencode(place), None, MS_REMOUNT | MS_BIND, None))
    return opened(f"{place}/pids.max")


@attempt(
    "out by `release_agent`: a control group that runs a program of the machine",
    wall="root",
    process=MACHINES,
)
def release_agent(_facts: Facts) -> str:
    Path("/tmp/groups").mkdir()
    kinds = [line.split()[1] for line in Path("/proc/self/cgroup").read_text().replace(":", " ").splitlines()]
    found = "rdma" if "rdma" in kinds else "pids"
    done(libc.mount(b"none", b"/tmp/groups", b"cgroup", 0, found.encode()))
    try:
        return opened("/tmp/groups/release_agent")
    finally:
        libc.umount2(b"/tmp/groups", 2)


@attempt("a setting of the machine's kernel: where cores go", wall="root", process=MACHINES)
def kernel_setting(_facts: Facts) -> str:
    return opened("/proc/sys/kernel/core_pattern")


@attempt("what the kernel has logged", wall="root", process=MACHINES)
def kernels_log(_facts: Facts) -> str:
    buffer = ctypes.create_string_buffer(200)
    return called("syslog", 3, buffer, 200)


@attempt("swap", wall="root", process=MACHINES)
def swap(_facts: Facts) -> str:
    return called("swapon", b"/nothing", 0)


@attempt("a program in the kernel (bpf)", wall="root", process=MACHINES)
def kernel_program(_facts: Facts) -> str:
    attributes = (ctypes.c_uint32 * 32)(2, 4, 4, 1)
    return called("bpf", 0, attributes, 72)


@attempt("counting what the machine does (perf)", wall="root", process=MACHINES)
def counters(_facts: Facts) -> str:
    attributes = (ctypes.c_uint32 * 32)(1, 128)
    return called("perf_event_open", attributes, -1, 0, -1, 0)


@attempt("watching all of a file system (fanotify)", wall="root", process=MACHINES)
def watching(_facts: Facts) -> str:
    return called("fanotify_init", 4, 0)


@attempt("a file system of its own choice (fsopen)", wall="root", process=MACHINES)
def other_file_system(_facts: Facts) -> str:
    return called("fsopen", b"tmpfs", 0)


@attempt("its own name in the network", wall="root", process=MACHINES)
def other_name(_facts: Facts) -> str:
    done(libc.sethostname(b"hostile", 7))
    return "changed it"


@attempt("being served before others (nice -5)", wall="root", process=MACHINES)
def served_first(_facts: Facts) -> str:
    return f"nice {os.nice(-15)}"


@attempt("mounts of its own (a mount namespace)", wall="root", process=MACHINES)
def own_mounts(_facts: Facts) -> str:
    done(libc.unshare(CLONE_NEWNS))
    return "has them"


@attempt("being root of a user namespace", wall="calls", process=MACHINES)
def user_namespace(_facts: Facts) -> str:
    done(libc.unshare(CLONE_NEWUSER))
    return "is root of one"


@attempt("a network of its own, as root of a user namespace", wall="calls", process=MACHINES)
def network_namespace(_facts: Facts) -> str:
    done(libc.unshare(CLONE_NEWUSER | CLONE_NEWNET))
    return "has one"


@attempt("the kernel's keys, which all of one user share", wall="calls", process=MACHINES)
def kernel_keys(_facts: Facts) -> str:
    return called("add_key", b"user", b"hostile", b"x", 1, -1)


@attempt("calls made elsewhere (io_uring), which no filter sees", wall="filter", process=MACHINES)
def rings(_facts: Facts) -> str:
    parameters = (ctypes.c_uint32 * 30)()
    return called("io_uring_setup", 1, parameters)


@attempt("the hypervisor's socket (vsock), which no network namespace holds", wall="filter", process=MACHINES)
def hypervisors_socket(_facts: Facts) -> str:
    socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM).close()
    return "has a socket"


@attempt("the same socket by a call of another kind of machine (int 0x80)", wall="filter", process=MACHINES)
def other_numbers(_facts: Facts) -> str:
    if platform.machine() != "x86_64":
        raise Refused("this kind of machine has no such call")
    # push rbx; eax = socket, ebx = AF_VSOCK, ecx = SOCK_STREAM, edx = 0; int 0x80; pop rbx; ret
    lines = bytes.fromhex("53 b867010000 bb28000000 b901000000 31d2 cd80 5b c3")
    page = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    page.write(lines)
    found = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))()
    if found < 0:
        raise Refused(os.strerror(-found))
    return "has a socket"


@attempt("root by a program whose bit is set (su)", wall="privileges", process=MACHINES)
def roots_bit(_facts: Facts) -> str:
    with subprocess.Popen(
        ["/bin/su", "root"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as asked:
        deadline = time.monotonic() + 1
        try:
            while time.monotonic() < deadline:
                lines = Path(f"/proc/{asked.pid}/status").read_text().splitlines()
                users = next((line.split()[1:] for line in lines if line.startswith("Uid:")), [])
                name = next((line.split()[-1] for line in lines if line.startswith("Name:")), "")
                if name == "su" and "0" in users:
                    return f"it runs with users {' '.join(users)}"
                time.sleep(0.01)
        finally:
            asked.kill()
    raise Refused("it runs as the agent")


@attempt("memory that others share (System V)", wall="ipc", process=SHARED)
def others_memory(facts: Facts) -> str:
    found = libc.shmget(int(facts["memory_key"]), 0, 0)
    done(found)
    libc.shmat.restype = ctypes.c_void_p
    return f"read {ctypes.string_at(libc.shmat(found, None, 0o10000), 20)!r}"


@attempt("memory that others share (/dev/shm)", wall="ipc", process=SHARED)
def others_shared_file(facts: Facts) -> str:
    return f"read {Path('/dev/shm', facts['memory_name']).read_text()!r}"


@attempt("the keys in another program's environment", wall="processes", process=SHARED)
def others_environment(facts: Facts) -> str:
    found = Path(f"/proc/{facts['neighbour']}/environ").read_bytes().split(b"\0")
    word = next((each for each in found if each.startswith(b"HOSTILE_BAIT=")), b"")
    if not word:
        raise Refused("that is another process here")
    return f"read {word.decode()}"


@attempt("another program ended", wall="processes", process=SHARED)
def others_ended(facts: Facts) -> str:
    if b"HOSTILE_BAIT" not in Path(f"/proc/{facts['neighbour']}/environ").read_bytes():
        raise Refused("that is another process here")
    os.kill(int(facts["neighbour"]), 0)
    return "may signal it"
