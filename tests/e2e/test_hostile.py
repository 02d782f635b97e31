"""Clients that are broken, slow or hostile: bounded and harmless."""
import socket
import time

from s3_client import Client

MIB = 1 << 20


def raw(port, data, read=True):
    with socket.create_connection(("127.0.0.1", port), timeout=30) as s:
        s.sendall(data)
        if not read:
            return b""
        s.shutdown(socket.SHUT_WR)
        answer = b""
        try:
            while chunk := s.recv(65536):
                answer += chunk
        except ConnectionResetError:
            pass
        return answer


def status_of(answer):
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/1.1 ") else None


def test_malformed_heads(hamster):
    bad = [
        b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x5\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost : a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n folded: b\r\n\r\n",
        b"GET / HTTP/1.1\nHost: a\n\n",
        b"GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"NONSENSE\r\n\r\n",
    ]
    for head in bad:
        answer = raw(hamster.port, head)
        assert answer == b"" or status_of(answer) in (400, 403, 501), (head, answer)
    big = b"GET / HTTP/1.1\r\nHost: a\r\nX-Big: " + b"a" * 200_000 + b"\r\n\r\n"
    answer = raw(hamster.port, big)
    assert answer == b"" or status_of(answer) in (400, 431), answer[:200]
    assert Client(hamster.port).request("GET", "/")[0] == 200


def test_unsigned_and_wrongly_signed(hamster):
    answer = raw(hamster.port, b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    assert status_of(answer) == 403 and b"AccessDenied" in answer
    assert Client(hamster.port, secret_key="wrong-wrong-wrong").request("GET", "/")[0] == 403
    assert Client(hamster.port, access_key="nobody").request("GET", "/")[0] == 403


def test_half_sent_bodies_leave_nothing(hamster):
    client = Client(hamster.port)
    assert client.request("PUT", "/half")[0] == 200
    for sent in (0, 1, 1000, 300_000, MIB - 1):
        target, headers = client.sign("PUT", f"/half/{sent}", {}, {}, "UNSIGNED-PAYLOAD")
        head = f"PUT {target} HTTP/1.1\r\n" + "".join(f"{k}: {v}\r\n" for k, v in headers.items())
        head += f"content-length: {MIB}\r\n\r\n"
        raw(hamster.port, head.encode() + b"x" * sent, read=sent % 2 == 0)
    status, _, body = client.request("GET", "/half", {"list-type": "2"})
    assert status == 200 and b"<KeyCount>0</KeyCount>" in body


def test_disconnects_everywhere(hamster):
    client = Client(hamster.port)
    assert client.request("PUT", "/gone")[0] == 200
    assert client.request("PUT", "/gone/big", body=b"y" * (4 * MIB))[0] == 200
    target, headers = client.sign("GET", "/gone/big", {}, {}, "UNSIGNED-PAYLOAD")
    head = (f"GET {target} HTTP/1.1\r\n" + "".join(f"{k}: {v}\r\n" for k, v in headers.items())
            + "\r\n").encode()
    for cut in range(0, len(head), 7):
        raw(hamster.port, head[:cut], read=False)
    for _ in range(50):  # leave in the middle of the answer
        with socket.create_connection(("127.0.0.1", hamster.port)) as s:
            s.sendall(head)
            s.recv(1000)
    assert client.request("GET", "/gone/big")[2] == b"y" * (4 * MIB)


def test_slow_and_idle_connections_do_not_stop_others(hamster):
    client = Client(hamster.port)
    idle = [socket.create_connection(("127.0.0.1", hamster.port)) for _ in range(500)]
    slow = [socket.create_connection(("127.0.0.1", hamster.port)) for _ in range(200)]
    for s in slow:
        s.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nX-Slow: ")
    for _ in range(20):
        for s in slow:
            try:
                s.sendall(b"a")
            except OSError:
                pass
        assert client.request("GET", "/")[0] == 200
        time.sleep(0.02)
    for s in idle + slow:
        s.close()
    assert client.request("GET", "/")[0] == 200
