"""The executables of a pretend node: one small script under many names.

It passes its arguments to an abstract Unix socket, prints the answer and ends with its status; it may be told to run a
real program instead and to report its status (realform.py). The messages are server.py's.

A call-out starts a handful of them, the tests some thousands: Perl starts in a fifth of Python's time, and Debian is never
without it. Neither script loads a module; the one in Python is for machines that have no Perl.
"""

import contextlib
import os
import shutil
import sys
from collections.abc import Sequence

PERL = r'''#!{interpreter}
$SIG{{PIPE}} = "IGNORE";
($name) = $0 =~ m{{([^/]*)$}};
sub put {{
    my ($stream, $data) = @_;
    while (length $data) {{ substr($data, 0, syswrite($stream, $data) || return, "") }}
}}
sub more {{ sysread($node, $data, 65536, length $data) }}
unless (socket($node, 1, 1, 0) && connect($node, pack("Sa*", 1, "\0{address}"))) {{
    put(STDERR, "$name: this node is switched off\n");
    exit 127;
}}
$here = readlink "/proc/self/cwd";
$here = "/" unless -d $here;
$request = join "\0", $here, $name, @ARGV;
put($node, length($request) . "\n$request");
until ($data =~ /\n/) {{ more() or exit 127 }}
($head, $data) = split /\n/, $data, 2;
if ($head =~ /^run (.*)/) {{
    while (length $data < $1) {{ more() or exit 127 }}
    ($program, @argv) = split /\0/, $data, -1;
    unless ($child = fork) {{
        $SIG{{PIPE}} = "DEFAULT";
        exec {{$program}} $name, @argv;
        exit 127;
    }}
    waitpid $child, 0;
    $signal = $? & 127;
    $status = $? >> 8;
    put($node, ($signal ? -$signal : $status) . "\n");
    1 while more();
    exit($signal ? 128 + $signal : $status);
}}
($status, $length) = split / /, $head;
1 while more();
put(STDOUT, substr $data, 0, $length);
put(STDERR, substr $data, $length);
exit $status;
'''

PYTHON = '''#!{interpreter} -IS
import _socket, posix, sys
name = sys.argv[0].rpartition("/")[2]
node = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
try:
    node.connect("\\0{address}")
except OSError:
    posix.write(2, name.encode() + b": this node is switched off\\n")
    posix._exit(127)
try:
    here = posix.getcwd()
except OSError:
    here = "/"
request = "\\0".join([here, name, *sys.argv[1:]]).encode("utf-8", "surrogateescape")
node.sendall(b"%d\\n%b" % (len(request), request))
def answer():
    data = b""
    while chunk := node.recv(65536):
        data += chunk
    return data
def write(stream, data):
    while data:
        data = data[posix.write(stream, data):]
data = b""
while b"\\n" not in data:
    chunk = node.recv(65536)
    if not chunk:
        posix._exit(127)
    data += chunk
head, _, data = data.partition(b"\\n")
if head.startswith(b"run "):
    while len(data) < int(head[4:]):
        data += node.recv(65536)
    argv = data.split(b"\\0")
    child = posix.fork()
    if not child:
        try:
            posix.execve(argv[0], [name.encode(), *argv[1:]], posix.environ)
        finally:
            posix._exit(127)
    status = posix.waitstatus_to_exitcode(posix.waitpid(child, 0)[1])
    node.sendall(b"%d\\n" % status)
    answer()
    posix._exit(status if status >= 0 else 128 - status)
status, length = map(int, head.split())
data += answer()
try:
    write(1, data[:length])
    write(2, data[length:])
except OSError:
    pass
posix._exit(status)
'''


def script(address: str, perl: str | None = shutil.which("perl")) -> str:
    """The executables' text, for an abstract socket's name with its NUL in front."""
    name = address.removeprefix("\0")
    if perl:
        return PERL.format(interpreter=perl, address=name)
    return PYTHON.format(interpreter=os.path.realpath(sys.executable), address=name)


def install(address: str, binaries: str, tools: Sequence[str]) -> None:
    """Put the executables of `tools` into `binaries`; they ask at the abstract socket `address`."""
    os.makedirs(binaries, exist_ok=True)
    with open(f"{binaries}/.tool", "w", encoding="utf-8") as file:
        file.write(script(address))
    os.chmod(f"{binaries}/.tool", 0o755)
    for name in tools:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(f"{binaries}/{name}")
        os.symlink(".tool", f"{binaries}/{name}")


def hide(binaries: str, tools: Sequence[str], hidden: bool) -> None:
    """Let executables be missing, or be there again."""
    for name in tools:
        link = f"{binaries}/{name}"
        if hidden and os.path.lexists(link):
            os.unlink(link)
        elif not hidden and not os.path.lexists(link):
            os.symlink(".tool", link)
