"""The executables of a pretend node: one small script under many names.

It passes its arguments to an abstract Unix socket, prints the answer and ends with its status; it may be told to run a
real program instead and to report its status (realform.py). The messages are server.py's.

A call-out starts a handful of them, the tests some thousands: Perl starts in a fifth of Python's time. It is part of every
Debian (perl-base), and the script loads no module.
"""

import contextlib
import os
import shutil
from collections.abc import Sequence

SCRIPT = r'''#!{interpreter}
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

NO_PERL = "a pretend node's tools are written in Perl: install perl-base (Debian, Ubuntu) or perl-interpreter (RHEL, Fedora)"


def lacking() -> str:
    """What this machine lacks to run the executables; "" when nothing."""
    return "" if shutil.which("perl") else NO_PERL


def script(address: str) -> str:
    """The executables' text, for an abstract socket's name with its NUL in front; RuntimeError where they cannot run."""
    if lacking():
        raise RuntimeError(lacking())
    return SCRIPT.format(interpreter=shutil.which("perl"), address=address.removeprefix("\0"))


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
