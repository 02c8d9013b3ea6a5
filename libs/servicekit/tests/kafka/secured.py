"""Apache Kafka for tests, as it stands in a company: TLS, passwords, and rights if asked for.

It needs Java and Maven; the tests run in the root of the checkout.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from local.broker import apache_node
from local.process import free_port
from local.servers import apache
from servicekit.access import KafkaAccess

ADMIN = "admin"
SCRAM = "SCRAM-SHA-512"


@dataclass(frozen=True)
class Authority:
    """A certificate authority that signed a broker's certificate and a client's."""

    ca: Path
    broker: Path
    """Certificate and key in one file, as the broker reads it."""
    client_cert: Path
    client_key: Path


@dataclass(frozen=True)
class SecuredBroker:
    """One node with a listener for each way in.

    Attributes:
        ssl: `host:port` where TLS is enough.
        mutual: Where the client needs a certificate as well.
        sasl_ssl: Where TLS and a password are asked for.
        sasl_plaintext: Where a password is asked for, without TLS.
        passwords: By user; `admin` may do everything.
        authority: Who signed the certificates.
    """

    ssl: str
    mutual: str
    sasl_ssl: str
    sasl_plaintext: str
    passwords: Mapping[str, str]
    authority: Authority

    def login(self, user: str) -> dict[str, str]:
        """The variables with which a service reaches it as some user, over TLS."""
        return {
            "KAFKA_BOOTSTRAP_SERVERS": self.sasl_ssl,
            "KAFKA_SECURITY_PROTOCOL": "SASL_SSL",
            "KAFKA_SASL_MECHANISM": SCRAM,
            "KAFKA_SASL_USERNAME": user,
            "KAFKA_SASL_PASSWORD": self.passwords[user],
            "KAFKA_CA_FILE": str(self.authority.ca),
        }

    def options(self, user: str) -> dict[str, Any]:
        """The same, as librdkafka's settings."""
        login = {name.lower(): value for name, value in self.login(user).items()}
        options = KafkaAccess.model_validate(login).client_options()
        return {"bootstrap.servers": self.sasl_ssl, **options}


@contextmanager
def secured_broker(
    folder: Path, users: Mapping[str, str], *, rights: bool = False
) -> Iterator[SecuredBroker]:
    """Run one node of Apache Kafka with TLS and SASL while the block runs.

    Args:
        folder: Of its data and certificates.
        users: Password by user, for SCRAM and for PLAIN; an `admin` is added.
        rights: Whether a user may do only what an ACL allows.

    Raises:
        RuntimeError: It was not ready in time.
        ServerError: Java or Maven is missing.
    """
    passwords = {ADMIN: "of-the-admin", **users}
    authority = issue(folder / "certificates")
    node = apache.Node(1, free_port(), free_port(), folder / "kafka")
    names = ("SSL", "MUTUAL", "SASL_SSL", "SASL_PLAINTEXT")
    ports = {name: free_port() for name in names}
    text = _properties(node, ports, passwords, authority, rights=rights)
    scram = [f"{SCRAM}=[name={user},password={word}]" for user, word in passwords.items()]
    ssl, mutual, sasl_ssl, sasl_plaintext = (f"localhost:{port}" for port in ports.values())
    secured = SecuredBroker(ssl, mutual, sasl_ssl, sasl_plaintext, passwords, authority)
    log = folder / "kafka.log"
    with apache_node(node, log, ready=lambda: _accepts_admin(secured), text=text, scram=scram):
        yield secured


def _accepts_admin(secured: SecuredBroker) -> bool:
    admin = AdminClient(secured.options(ADMIN) | {"log_level": 0})
    try:
        return bool(admin.list_topics(timeout=1.0).brokers)
    except KafkaException:
        return False


def _properties(
    node: apache.Node,
    ports: Mapping[str, int],
    passwords: Mapping[str, str],
    authority: Authority,
    *,
    rights: bool,
) -> str:
    plain = "org.apache.kafka.common.security.plain.PlainLoginModule required " + " ".join(
        f'user_{user}="{word}"' for user, word in passwords.items()
    )
    scram = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
    values: dict[str, object] = {
        "listeners": ",".join(
            [
                f"PLAINTEXT://127.0.0.1:{node.port}",
                f"CONTROLLER://127.0.0.1:{node.controller_port}",
                *(f"{name}://127.0.0.1:{port}" for name, port in ports.items()),
            ]
        ),
        "advertised.listeners": ",".join(
            [
                f"PLAINTEXT://127.0.0.1:{node.port}",
                *(f"{name}://localhost:{port}" for name, port in ports.items()),
            ]
        ),
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SSL:SSL,"
        "MUTUAL:SSL,SASL_SSL:SASL_SSL,SASL_PLAINTEXT:SASL_PLAINTEXT",
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": authority.broker,
        "ssl.truststore.type": "PEM",
        "ssl.truststore.location": authority.ca,
        "listener.name.mutual.ssl.client.auth": "required",
        "sasl.enabled.mechanisms": f"{SCRAM},PLAIN",
    }
    for name in ("sasl_ssl", "sasl_plaintext"):
        values[f"listener.name.{name}.scram-sha-512.sasl.jaas.config"] = scram
        values[f"listener.name.{name}.plain.sasl.jaas.config"] = f"{plain};"
    if rights:
        values["authorizer.class.name"] = "org.apache.kafka.metadata.authorizer.StandardAuthorizer"
        # The node itself comes over its plain listener, as nobody.
        values["super.users"] = f"User:{ADMIN};User:ANONYMOUS"
    return apache.properties(node, [node], **{k: str(v) for k, v in values.items()})


def issue(folder: Path) -> Authority:
    """Make an authority, a certificate for `localhost`, and one for a client."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    folder.mkdir(parents=True, exist_ok=True)
    now = datetime.now(UTC)

    def named(name: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])

    def pem(key: ec.EllipticCurvePrivateKey) -> bytes:
        return key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )

    signer = ec.generate_private_key(ec.SECP256R1())

    def sign(name: str, key: ec.EllipticCurvePrivateKey, *, ca: bool = False) -> x509.Certificate:
        hosts = [x509.DNSName("localhost"), x509.IPAddress(IPv4Address("127.0.0.1"))]
        return (
            x509.CertificateBuilder()
            .subject_name(named(name))
            .issuer_name(named("tests"))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName(hosts), critical=False)
            .sign(signer, hashes.SHA256())
        )

    def text(certificate: x509.Certificate) -> bytes:
        return certificate.public_bytes(serialization.Encoding.PEM)

    authority = Authority(
        folder / "ca.pem", folder / "broker.pem", folder / "client.pem", folder / "client.key"
    )
    authority.ca.write_bytes(text(sign("tests", signer, ca=True)))
    key = ec.generate_private_key(ec.SECP256R1())
    authority.broker.write_bytes(pem(key) + text(sign("localhost", key)))
    key = ec.generate_private_key(ec.SECP256R1())
    authority.client_cert.write_bytes(text(sign("client", key)))
    authority.client_key.write_bytes(pem(key))
    return authority
