"""Which services are asked over the network, and under which id."""

from __future__ import annotations

from mltop.config.service import Http, Postgres, Redis, Services, Tcp

Asked = Http | Redis | Postgres | Tcp


def checks_of(services: Services) -> list[tuple[str, Asked]]:
    """Each service that is asked over the network, with the id of its check."""
    return [
        *(("api", one) for one in services.http),
        *(("redis", one) for one in services.redis),
        *(("pg", one) for one in services.postgres),
        *(("tcp", one) for one in services.tcp),
    ]
