-- Hours of health that are over are thinned to one a day, see `retention.thin_health`; prognoses could be removed before.

GRANT DELETE ON health TO bellwether_notify;
