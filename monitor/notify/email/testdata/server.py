# A real SMTP server for the test: it prints its port, then each mail it took as
# a line of JSON. Arguments: certificate file, key file (both may be empty), and
# "implicit" for TLS from the first byte.
import asyncio, json, socket, ssl, sys
from aiosmtpd.smtp import SMTP, AuthResult


class Handler:
    def __init__(self):
        self.tries = {}

    async def handle_RCPT(self, server, session, envelope, address, options):
        self.tries[address] = self.tries.get(address, 0) + 1
        if address.startswith("nobody@"):
            return "550 5.1.1 no such user"
        if address.startswith("busy@") and self.tries[address] == 1:
            return "451 4.3.0 try again later"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        print(json.dumps({
            "from": envelope.mail_from, "to": envelope.rcpt_tos, "tls": server.transport.get_extra_info("sslcontext") is not None,
            "login": bool(session.authenticated), "content": envelope.content.decode("utf-8"),
        }), flush=True)
        return "250 taken"


def authenticate(server, session, envelope, mechanism, data):
    good = getattr(data, "login", b"") == b"steer" and getattr(data, "password", b"") == b"hush"
    return AuthResult(success=good, handled=False)


async def main():
    tls = None
    if sys.argv[1]:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(sys.argv[1], sys.argv[2])
    implicit = sys.argv[3] == "implicit"
    start = None if implicit else tls
    handler = Handler()
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    server = await asyncio.get_running_loop().create_server(
        lambda: SMTP(handler, hostname="mail.test", tls_context=start, require_starttls=start is not None,
                     authenticator=authenticate, auth_required=tls is not None, auth_require_tls=not implicit),
        sock=listener, ssl=tls if implicit else None)
    print(listener.getsockname()[1], flush=True)
    await server.serve_forever()

asyncio.run(main())
