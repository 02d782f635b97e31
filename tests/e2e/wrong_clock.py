"""Runs a program whose clock is wrong: wrong_clock.py SECONDS COMMAND...

It takes the place of this process (same pid, same signals), and CLOCK_REALTIME is off by so much in
it; the monotonic clock is not. A static binary takes no LD_PRELOAD, and time namespaces leave the
real time alone. But it reads the time through the vDSO, code that the kernel maps into each
process: a tracer replaces the entries there, before the program's first instruction, by ones that
ask the kernel and add the offset. Linux on x86-64.
"""
import ctypes
import os
import signal
import struct
import sys

ATTACH, CONT, DETACH, SETOPTIONS = 16, 7, 17, 0x4200
TRACE_EXEC, EVENT_EXEC = 0x10, 4
SET_PTRACER, ANY = 0x59616D61, ctypes.c_ulong(-1)
AT_SYSINFO_EHDR, SHT_DYNSYM = 33, 11
SYS = {"clock_gettime": 228, "gettimeofday": 96, "time": 201}

libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
libc.ptrace.restype = ctypes.c_long


def ptrace(request, pid, data=0):
    if libc.ptrace(request, pid, None, data) < 0:
        raise OSError(ctypes.get_errno(), f"ptrace request {request}")


def replacements(offset_s):
    """Machine code of each entry, for rdi and rsi as C passes them."""
    add = struct.pack("<q", offset_s)
    load = b"\x48\xba" + add                               # mov rdx, offset

    def call(name):
        return b"\xb8" + struct.pack("<I", SYS[name]) + b"\x0f\x05"  # mov eax, n; syscall
    return {
        "clock_gettime": call("clock_gettime")
        + b"\x83\xff\x00\x74\x06"                          # cmp edi, CLOCK_REALTIME; je +6
        + b"\x83\xff\x05\x74\x01"                          # cmp edi, .._COARSE; je +1
        + b"\xc3" + load                                   # ret
        + b"\x85\xc0\x75\x03"                              # test eax, eax; jne +3
        + b"\x48\x01\x16\xc3",                             # add [rsi], rdx; ret
        "gettimeofday": call("gettimeofday") + load
        + b"\x48\x85\xff\x74\x03"                          # test rdi, rdi; je +3
        + b"\x48\x01\x17\xc3",                             # add [rdi], rdx; ret
        "time": call("time") + load + b"\x48\x01\xd0"      # add rax, rdx
        + b"\x48\x85\xff\x74\x03"                          # test rdi, rdi; je +3
        + b"\x48\x89\x07\xc3",                             # mov [rdi], rax; ret
    }


def symbols(image):
    """{name: offset} of the functions of an ELF image."""
    first, = struct.unpack_from("<Q", image, 40)
    count, = struct.unpack_from("<H", image, 60)
    sections = [struct.unpack_from("<IIQQQQIIQQ", image, first + n * 64) for n in range(count)]
    found = {}
    for _, kind, _, _, offset, length, link, *_ in sections:
        if kind != SHT_DYNSYM:
            continue
        names = sections[link][4]
        for entry in range(offset, offset + length, 24):
            name, value = struct.unpack_from("<I4xQ", image, entry)
            end = image.index(b"\0", names + name)
            found[image[names + name:end].decode()] = value
    return found


def rewrite(pid, offset_s):
    with open(f"/proc/{pid}/auxv", "rb") as f:
        auxv = f.read()
    start = dict(struct.iter_unpack("<QQ", auxv))[AT_SYSINFO_EHDR]
    with open(f"/proc/{pid}/maps", encoding="ascii") as f:
        line = next(line for line in f if line.startswith(f"{start:x}-"))
    end = int(line.split("-")[1].split()[0], 16)
    with open(f"/proc/{pid}/mem", "r+b", buffering=0) as memory:
        memory.seek(start)
        image = memory.read(end - start)
        known = symbols(image)
        free = (len(image.rstrip(b"\0")) + 31) // 16 * 16  # behind the last byte in use
        for name, code in replacements(offset_s).items():
            assert free + len(code) <= len(image), "the vDSO has no room"
            memory.seek(start + free)
            memory.write(code)
            entry = known[f"__vdso_{name}"]
            memory.seek(start + entry)
            memory.write(b"\xe9" + struct.pack("<i", free - entry - 5))  # jmp
            free += (len(code) + 15) // 16 * 16


def trace(pid, offset_s, ready):
    ptrace(ATTACH, pid)
    os.waitpid(pid, 0)
    ptrace(SETOPTIONS, pid, TRACE_EXEC)
    os.write(ready, b"x")
    passed = 0
    while True:
        ptrace(CONT, pid, passed)
        status = os.waitpid(pid, 0)[1]
        if not os.WIFSTOPPED(status):
            return
        if status >> 8 == signal.SIGTRAP | EVENT_EXEC << 8:
            break
        passed = os.WSTOPSIG(status)
        passed = 0 if passed == signal.SIGSTOP else passed
    rewrite(pid, offset_s)
    ptrace(DETACH, pid)


def main():
    offset_s, command = int(sys.argv[1]), sys.argv[2:]
    program = os.getpid()
    libc.prctl(SET_PTRACER, ANY, 0, 0, 0)
    is_ready, ready = os.pipe()
    if os.fork() == 0:
        if os.fork() == 0:  # nobody's child that waits to be reaped
            try:
                trace(program, offset_s, ready)
            except BaseException:
                os.kill(program, signal.SIGKILL)  # rather than run with the right clock
                raise
        os._exit(0)
    os.wait()
    os.close(ready)
    if os.read(is_ready, 1) != b"x":
        sys.exit("the tracer failed")
    os.execvp(command[0], command)


if __name__ == "__main__":
    main()
