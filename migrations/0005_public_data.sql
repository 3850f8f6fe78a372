-- What PeeringDB says of networks to everybody: names, and ports at exchanges.
-- It is asked seldom, so it is kept here.

CREATE TABLE public_networks (
    asn      BIGINT PRIMARY KEY,
    -- '' when PeeringDB does not know the network: that is kept too, so that
    -- nobody asks again at once.
    name     TEXT NOT NULL,
    -- When the network and its ports were read; NULL: not yet.
    read_at  BIGINT NOT NULL,
    ports_at BIGINT
);

CREATE TABLE public_ports (
    id          BIGINT PRIMARY KEY,
    asn         BIGINT NOT NULL REFERENCES public_networks (asn) ON DELETE CASCADE,
    ix_id       BIGINT NOT NULL,
    -- Mbit/s
    speed       BIGINT NOT NULL,
    -- '' for none
    ipv4        TEXT NOT NULL,
    ipv6        TEXT NOT NULL,
    operational BOOLEAN NOT NULL
);
CREATE INDEX public_ports_asn ON public_ports (asn);
CREATE INDEX public_ports_exchange ON public_ports (ix_id, asn);
