"""Signs deliveries with the senders' own Python libraries. One JSON array on stdout: see run."""

import base64
import datetime
import json
import sys
import time
from importlib.metadata import version
from types import SimpleNamespace

import slack_sdk.signature
import standardwebhooks
import stripe
import svix
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from paddle_billing.Notifications import Secret, Verifier
from paddle_billing.Notifications.PaddleSignature import PaddleSignature
from square.utils.webhooks_helper import verify_signature

NOW = int(time.time())
KEY = base64.b64encode(b"a key of twenty-four byt").decode()
BODIES = [
    '{"event_id":"e-1","id":"e-1","type":"paid","event_type":"paid"}',
    '{"event_id":"\\u00e9","id":"\\u00e9","type":"\u00e9"}',
    '{ "event_id" : "e-2",\r\n "id":"e-2" ,"type":"t" }\n',
]
deliveries = []


def deliver(sender, library, secret, body, headers):
    deliveries.append({"sender": sender, "library": f"{library} {version(library)}", "secret": secret,
                       "body": body, "headers": headers, "at": NOW})


def sign_stripe(body):
    secret = "whsec_official"
    signature = stripe.WebhookSignature._compute_signature(f"{NOW}.{body}", secret)
    header = f"t={NOW},v1={signature}"
    assert stripe.WebhookSignature.verify_header(body, header, secret, 300)
    deliver("stripe", "stripe", secret, body, {"Stripe-Signature": header})


def sign_standard(body):
    when = datetime.datetime.fromtimestamp(NOW, tz=datetime.timezone.utc)
    for library, module, family, secret in [
        ("standardwebhooks", standardwebhooks, "webhook", "whsec_" + KEY),
        ("standardwebhooks", standardwebhooks, "webhook", KEY),
        ("svix", svix, "svix", "whsec_" + KEY),
    ]:
        webhook = module.Webhook(secret)
        headers = {f"{family}-id": "msg_1", f"{family}-timestamp": str(NOW),
                   f"{family}-signature": webhook.sign("msg_1", when, body)}
        webhook.verify(body, headers)
        deliver("standard-webhooks", library, secret, body, headers)


def sign_standard_ed25519(body):
    """No library of the specification signs `v1a`: a plain library for Ed25519 does."""
    key = Ed25519PrivateKey.from_private_bytes(bytes(range(1, 33)))
    public = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    signature = base64.b64encode(key.sign(f"msg_1.{NOW}.{body}".encode())).decode()
    headers = {"webhook-id": "msg_1", "webhook-timestamp": str(NOW), "webhook-signature": f"v1a,{signature}"}
    deliver("standard-webhooks, Ed25519", "cryptography", "whpk_" + base64.b64encode(public).decode(), body, headers)


def sign_slack(body):
    secret = "8f742231b10e8888abcd99yyyzzz85a5"
    verifier = slack_sdk.signature.SignatureVerifier(secret)
    headers = {"X-Slack-Request-Timestamp": str(NOW),
               "X-Slack-Signature": verifier.generate_signature(timestamp=str(NOW), body=body)}
    assert verifier.is_valid_request(body, headers)
    deliver("slack", "slack_sdk", secret, body, headers)


def sign_paddle(body):
    secret = "pdl_ntfset_official"
    signature = PaddleSignature.calculate_hmac(secret, f"{NOW}:{body}".encode()).hexdigest()
    headers = {"Paddle-Signature": f"ts={NOW};h1={signature}"}
    request = SimpleNamespace(headers=headers, body=body.encode())
    assert Verifier(60).verify(request, Secret(secret))
    deliver("paddle", "paddle-python-sdk", secret, body, headers)


def sign_square(body):
    """The library only verifies: it judges a signature of the bare HMAC."""
    import hashlib
    import hmac
    secret, url = "official", "https://example.com/webhook"
    signature = base64.b64encode(hmac.digest(secret.encode(), (url + body).encode(), hashlib.sha256)).decode()
    assert verify_signature(request_body=body, signature_header=signature, signature_key=secret, notification_url=url)
    deliver("square", "squareup", secret, body, {"x-square-hmacsha256-signature": signature})


for body in BODIES:
    for sign in [sign_stripe, sign_standard, sign_standard_ed25519, sign_slack, sign_paddle, sign_square]:
        sign(body)
json.dump(deliveries, sys.stdout)
