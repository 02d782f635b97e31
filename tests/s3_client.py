"""A small signing S3 client on http.client, for load and for requests no SDK would send."""
import datetime
import hashlib
import hmac
import http.client
import urllib.parse

from hamster_process import ACCESS_KEY, SECRET_KEY


def _hmac(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()


class Client:
    """One connection; not thread-safe. Requests raise OSError or HTTPException when it breaks."""

    def __init__(self, port, access_key=ACCESS_KEY, secret_key=SECRET_KEY, timeout=60):
        self.port = port
        self.access_key = access_key
        self.secret_key = secret_key
        self.timeout = timeout
        self.connection = None

    def sign(self, method, path, query, headers, payload_hash, now=None):
        now = now or datetime.datetime.now(datetime.timezone.utc)
        stamp = now.strftime("%Y%m%dT%H%M%SZ")
        day = stamp[:8]
        headers = {**headers, "host": f"127.0.0.1:{self.port}", "x-amz-date": stamp,
                   "x-amz-content-sha256": payload_hash}
        names = sorted(headers)
        canonical_query = "&".join(
            f"{urllib.parse.quote(k, safe='-_.~')}={urllib.parse.quote(v, safe='-_.~')}"
            for k, v in sorted(query.items()))
        canonical = "\n".join([method, urllib.parse.quote(path, safe="/-_.~"), canonical_query,
                               *(f"{n}:{headers[n].strip()}" for n in names), "",
                               ";".join(names), payload_hash])
        scope = f"{day}/us-east-1/s3/aws4_request"
        to_sign = "\n".join(["AWS4-HMAC-SHA256", stamp, scope,
                             hashlib.sha256(canonical.encode()).hexdigest()])
        key = _hmac(_hmac(_hmac(_hmac(("AWS4" + self.secret_key).encode(), day), "us-east-1"), "s3"),
                    "aws4_request")
        signature = hmac.new(key, to_sign.encode(), hashlib.sha256).hexdigest()
        headers["authorization"] = (f"AWS4-HMAC-SHA256 Credential={self.access_key}/{scope}, "
                                    f"SignedHeaders={';'.join(names)}, Signature={signature}")
        target = urllib.parse.quote(path, safe="/-_.~") + ("?" + canonical_query if query else "")
        return target, headers

    def request(self, method, path, query=None, headers=None, body=b"", payload_hash=None):
        """(status, headers, body)"""
        payload_hash = payload_hash or hashlib.sha256(body).hexdigest()
        target, signed = self.sign(method, path, query or {}, headers or {}, payload_hash)
        if self.connection is None:
            self.connection = http.client.HTTPConnection("127.0.0.1", self.port,
                                                         timeout=self.timeout)
        try:
            self.connection.request(method, target, body=body, headers=signed)
            answer = self.connection.getresponse()
            return answer.status, dict((k.lower(), v) for k, v in answer.getheaders()), answer.read()
        except Exception:
            self.close()
            raise

    def close(self):
        if self.connection is not None:
            self.connection.close()
            self.connection = None
