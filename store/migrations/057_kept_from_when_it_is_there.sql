-- A part that was waited for is kept back from when it is there, and not from when it was asked for: see store/parts.
GRANT UPDATE (expires_at) ON part_reservations TO bellwether_api, bellwether_notify;
