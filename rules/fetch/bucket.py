"""A bucket: what is in it, and its objects as streams. Failures in words that say what to do.

Everything that can go wrong ends as one of three: Trouble (the user's to mend), Passing (try again) or Changed (the
object is another one by now).
"""

import random
import re
import threading
from typing import NamedTuple
from urllib.parse import urlsplit

from operate.words import shown

try:
    import boto3
    import botocore.config
    import botocore.exceptions as errors
    import urllib3.exceptions
    from botocore import UNSIGNED
    from botocore.parsers import ResponseParserError

    PASSING = (
        *(errors.HTTPClientError, errors.ConnectionError, errors.IncompleteReadError, ResponseParserError),
        *(urllib3.exceptions.HTTPError, ConnectionError, TimeoutError),
    )
except ModuleNotFoundError:
    boto3 = None

URL = re.compile(r"s3://([A-Za-z0-9][A-Za-z0-9._-]{1,253}[A-Za-z0-9])(?:/(.*))?", re.DOTALL)
LONGEST = 30  # seconds between two attempts
DENIED = {"AccessDenied", "403", "Forbidden", "AllAccessDisabled", "AccountProblem"}
BAD_KEYS = {"InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken", "TokenRefreshRequired"}
ELSEWHERE = {"PermanentRedirect", "AuthorizationHeaderMalformed", "301", "IllegalLocationConstraintException"}
SENT_ON = {301, 302, 303, 307, 308}
BUSY = {"SlowDown", "RequestTimeout", "RequestTimeoutException", "InternalError", "ServiceUnavailable", "Throttling"}


class Trouble(Exception):
    """One line: "file or url: what is wrong; what to do"."""


class Passing(Exception):
    """What may be over soon."""


class Unranged(Passing):
    """The server has sent the whole object where a range was asked for."""


class Changed(Exception):
    """The object is not the one that was listed."""


class SentOn(Exception):
    """The server names another address, and not the bucket's region."""


class Stopped(Exception):
    """The user wants no more."""


class Object(NamedTuple):
    size: int
    etag: str


class Bucket:
    """`settings` are those of the section `remote`. Methods may be called in any thread."""

    def __init__(self, settings):
        self.settings = settings
        self.name, self.prefix = parse_url(settings["url"])
        self.stop = threading.Event()
        self.slots = threading.Semaphore(settings["parallel"])  # transfers at once
        self.lock, self.made = threading.Lock(), None

    def url(self, key):
        return shown(f"s3://{self.name}/{key}")

    @property
    def client(self):
        with self.lock:
            if not self.made:
                self.made = self.make_client()
        return self.made

    def make_client(self):
        if boto3 is None:
            raise Trouble("boto3: is not installed, and buckets are read by it; run `pip install boto3`")
        given = self.settings
        config = botocore.config.Config(
            signature_version=UNSIGNED if given["anonymous"] else None,
            retries={"total_max_attempts": 1},  # ours know where a stream was cut
            connect_timeout=given["timeout"],
            read_timeout=given["timeout"],
            max_pool_connections=given["parallel"] + 2,
            s3={"addressing_style": "path" if given["endpoint"] else "auto"},
            response_checksum_validation="when_required",
            tcp_keepalive=True,
        )
        try:
            session = boto3.Session(profile_name=given["profile"], region_name=given["region"])
            client = session.client("s3", endpoint_url=given["endpoint"], config=config)
        except (errors.BotoCoreError, ValueError) as error:
            raise Trouble(f"config: remote: {error}; correct profile, region or endpoint") from None
        client.meta.events.register_first("needs-retry.s3.HeadBucket", refuse_to_go_on)
        return client

    # What is in it

    def listed(self, prefix):
        """(names of folders, {name: Object}) directly below a prefix that is empty or ends in a slash."""
        folders, files, token, asked = [], {}, None, set()
        while True:
            more, objects, token = self.patiently(prefix, self.page, prefix, token)
            folders += filter(usable, more)
            files |= {name: found for name, found in objects.items() if usable(name)}
            if token is None:
                return folders, files
            if token in asked:
                raise Trouble(f"{self.url(prefix)}: the server's list has no end; tell those who keep the bucket")
            asked.add(token)

    def page(self, prefix, token):
        """A part of the list: folders, files, and how the next part is asked for (None: there is none). What is not
        as it must be is no list: a folder that seems empty would pass for one of which all is there."""
        given = {"ContinuationToken": token} if token else {}
        answer = self.client.list_objects_v2(Bucket=self.name, Prefix=prefix, Delimiter="/", **given)
        try:
            folders = [below(entry["Prefix"].removesuffix("/"), prefix) for entry in answer.get("CommonPrefixes", [])]
            files = {below(entry["Key"], prefix): found(entry, "Size") for entry in answer.get("Contents", [])}
            return folders, files, answer["NextContinuationToken"] if answer["IsTruncated"] else None
        except (KeyError, ValueError) as error:
            raise Passing(f"the server's list is not whole ({error})") from None

    def head(self, key):
        answer = self.patiently(key, lambda: self.client.head_object(Bucket=self.name, Key=key))
        try:
            return found(answer, "ContentLength")
        except (KeyError, ValueError) as error:
            raise Trouble(f"{self.url(key)}: the server does not tell its length and ETag ({error})") from None

    def part_size(self, key, wanted):
        """Size of the parts that an object was uploaded in, where they are alike and the server tells; or None."""
        parts = int(match[1]) if (match := re.fullmatch(r"[0-9a-fA-F]{32}-([1-9][0-9]{0,4})", wanted.etag)) else 0
        if parts <= 1:
            return wanted.size if parts else None
        try:
            first, last = (self.part(key, wanted, number) for number in (1, parts))
        except (errors.BotoCoreError, errors.ClientError, KeyError, ValueError, SentOn):
            return None
        return first if first * (parts - 1) + last == wanted.size and last <= first else None

    def part(self, key, wanted, number):
        answer = self.client.head_object(Bucket=self.name, Key=key, PartNumber=number)
        return answer["ContentLength"] if unquoted(answer["ETag"]) == wanted.etag else 0

    def patiently(self, key, ask, *args):
        """The answer to a request, asked again while that may help."""
        patience = Patience(self, key)
        while True:
            try:
                with self.words(key):
                    return ask(*args)
            except Passing as why:
                patience.wait(why)
            except Changed:
                raise Trouble(f"{self.url(key)}: keeps changing; try again later") from None

    # Objects

    def open(self, key, wanted, start, end):
        """The object's bytes from `start` to `end`, as a file object with read(n), and whether its ETag is none of
        MD5; Changed if it is another one by now."""
        until = end - 1 if end < wanted.size else ""
        given = {"Range": f"bytes={start}-{until}"} if end - start < wanted.size else {}
        with self.words(key):
            answer = self.client.get_object(Bucket=self.name, Key=key, IfMatch=f'"{wanted.etag}"', **given)
        problem = self.unfit(answer, wanted, start, end)
        if problem:
            answer["Body"].close()
            raise problem
        return answer["Body"], encrypted(answer)

    @staticmethod
    def unfit(answer, wanted, start, end):
        """What is wrong with an answer before its bytes are looked at, or None."""
        if unquoted(answer.get("ETag", "")) != wanted.etag:
            return Changed()
        came = answer.get("ContentRange", "")
        if end - start < wanted.size and not came.startswith(f"bytes {start}-"):
            kind = Passing if came else Unranged
            return kind(f"the server sent {came or 'everything'} for bytes from {start} on")
        sent = answer.get("ContentLength")
        if sent == end - start or (sent is None and "ContentEncoding" not in answer):  # None: it is sent in chunks
            return None
        repacked = f", packed anew ({answer['ContentEncoding']}) by a proxy" if "ContentEncoding" in answer else ""
        told = "an unknown number of" if sent is None else sent
        return Passing(f"the server sends {told} bytes where {end - start} are due{repacked}")

    def words(self, key):
        return Words(self, key)


def found(answer, length):
    """The object that an answer speaks of; `length` is the key of its size."""
    if answer[length] < 0:
        raise ValueError(f"{length} {answer[length]}")
    return Object(answer[length], unquoted(answer["ETag"]))


def unquoted(etag):
    """An ETag as we keep it. S3's own are never weak; it is proxies that make them so."""
    return etag.removeprefix("W/").strip('"')


def encrypted(answer):
    """Whether the object's ETag is no MD5 although it looks like one."""
    return "kms" in answer.get("ServerSideEncryption", "") or "SSECustomerAlgorithm" in answer


def parse_url(url):
    match = URL.fullmatch(url or "")
    if not match:
        raise Trouble(f"config: remote: url: {url!r} is no bucket; write s3://BUCKET or s3://BUCKET/FOLDER")
    prefix = (match[2] or "").strip("/")
    return match[1], prefix and prefix + "/"


def below(key, prefix):
    """The name of what lies directly below a prefix."""
    name = key.removeprefix(prefix)
    if not key.startswith(prefix) or "/" in name:
        raise ValueError(f"{key!r} was not asked for")
    return name


def usable(name):
    return name not in ("", ".", "..") and "\0" not in name


def refuse_to_go_on(response, **others):
    """For its events. botocore asks for the bucket itself to learn the region that it is sent to, again and again
    where this question is sent on, too."""
    if response and response[0].status_code in SENT_ON and "x-amz-bucket-region" not in response[0].headers:
        raise SentOn(response[0].headers.get("Location", ""))


class Patience:
    """Waits between attempts, longer each time; after `retries` of them without any progress it is Trouble."""

    def __init__(self, bucket, key):
        self.bucket, self.key, self.failures = bucket, key, 0

    def progress(self):
        self.failures = 0

    def wait(self, why):
        given = self.bucket.settings
        self.failures += 1
        if self.failures > given["retries"]:
            tries = f"{self.failures} attempts" if self.failures > 1 else "one attempt"
            raise Trouble(f"{self.bucket.url(self.key)}: {why}, after {tries}; run it again later, it goes on there")
        pause = min(given["pause"] * 2 ** (self.failures - 1), LONGEST) * random.uniform(0.5, 1)
        if self.bucket.stop.wait(pause):
            raise Stopped


class Words:
    """Turns the many exceptions of the client into Trouble, Passing and Changed."""

    def __init__(self, bucket, key):
        self.bucket, self.url = bucket, bucket.url(key)

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if kind is None or boto3 is None or not isinstance(error, Exception):
            return False
        if isinstance(error, errors.ClientError):
            raise self.refused(error) from None
        if isinstance(error, errors.SSLError | urllib3.exceptions.SSLError):
            reason = f"the server's certificate cannot be trusted ({tail(error)})"
            raise Trouble(f"{self.url}: {reason}; set AWS_CA_BUNDLE to your site's certificates") from None
        if isinstance(error, errors.NoCredentialsError | errors.PartialCredentialsError):
            advice = "set remote: {anonymous: true} for a public bucket, or give a profile (aws configure)"
            raise Trouble(f"{self.url}: no credentials were found; {advice}") from None
        if isinstance(error, SentOn):
            raise self.sent_on(str(error)) from None
        if isinstance(error, PASSING):
            raise Passing(f"the connection fails ({tail(error)})") from None
        if isinstance(error, ValueError):
            raise Passing(f"the server's answer cannot be read ({tail(error)})") from None
        if isinstance(error, errors.BotoCoreError):
            raise Trouble(f"{self.url}: {tail(error)}; correct the section remote") from None
        return False

    def refused(self, error):
        """What an answer of the server means."""
        answer = error.response
        status = answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        code = answer.get("Error", {}).get("Code", "")
        said = f"the server says {status}" + (f" {code}" if code != str(status) else "")
        if status in (412, 416):
            return Changed()
        if code in BUSY or status in (408, 429) or status >= 500:
            return Passing(said)
        if code == "NoSuchBucket":
            return Trouble(f"s3://{self.bucket.name}: there is no such bucket; correct remote: url (and endpoint)")
        if code in BAD_KEYS:
            return Trouble(f"{self.url}: the server does not accept the credentials ({code}); renew them")
        if code == "RequestTimeTooSkewed":
            return Trouble(f"{self.url}: this machine's clock is wrong, says the server; set it")
        if code in DENIED or status in (401, 403):
            return Trouble(f"{self.url}: access is denied ({code}); {self.how_to_enter()}")
        if status == 404:
            return Trouble(f"{self.url}: is not in the bucket; correct remote: url, or the layout")
        if code in ELSEWHERE or status in SENT_ON or (code == "400" and self.region(answer)):
            return self.elsewhere(answer)
        return Trouble(f"{self.url}: {said}; correct the section remote")

    def region(self, answer):
        """That of the bucket, where the server tells it and it is not the one that was asked; or None."""
        headers = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {})
        told = headers.get("x-amz-bucket-region") or answer.get("Error", {}).get("Region")
        return told if told != self.bucket.client.meta.region_name else None

    def elsewhere(self, answer):
        location = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("location")
        if (region := self.region(answer)) or not location:
            advice = f"set remote: {{region: {region}}}" if region else "give remote: region"
            return Trouble(f"{self.url}: the bucket is in {region or 'another region'}; {advice}")
        return self.sent_on(location)

    def sent_on(self, location):
        host = urlsplit(location).netloc or "another address"
        return Trouble(f"{self.url}: the server sends us on to {host}; where that is right, give remote: endpoint")

    def how_to_enter(self):
        if self.bucket.settings["anonymous"]:
            return "without credentials the bucket gives nothing; set remote: anonymous: false and give a profile"
        return "accept the dataset's terms, or give credentials that may read it (profile), or try anonymous: true"


def tail(error):
    """An exception in one short line."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= 200 else text[:200] + "..."
