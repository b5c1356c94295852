-- A rule is tried over stored history before it is accepted: see alarms/trials.py.

ALTER TABLE alarm_policies
    ADD COLUMN alarms_per_10min double precision NOT NULL DEFAULT 1 CHECK (alarms_per_10min > 0 AND alarms_per_10min <= 100),
    ADD COLUMN false_per_month  double precision NOT NULL DEFAULT 1 CHECK (false_per_month BETWEEN 0 AND 1000);
DROP TRIGGER audited ON alarm_policies;
DROP TRIGGER audited_changes ON alarm_policies;
SELECT audit_table('alarm_policies', 'alarm_policy', '{tenant}',
                   '{longest_shelf_h,chatter_raises,chatter_s,flood_alarms,flood_s,stale_h,alarms_per_10min,false_per_month}');

CREATE TABLE rule_trials (
    id        uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    tenant    text NOT NULL REFERENCES tenants,
    rule_id   text NOT NULL,
    content   text NOT NULL,                      -- SHA-256 of what decides when it alarms
    rule      jsonb NOT NULL,                     -- as it would be
    days      integer NOT NULL CHECK (days BETWEEN 1 AND 90),
    devices   text[],                             -- NULL: all that it covers
    people    integer NOT NULL,                   -- who are there for its alarms, when it was asked for
    engineers integer NOT NULL,                   -- whom it would wake
    state     text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'done', 'failed')),
    attempts  integer NOT NULL DEFAULT 0,
    asked_at  timestamptz NOT NULL,
    asked_by  text NOT NULL,
    begun_at  timestamptz,
    done_at   timestamptz,
    fits      boolean,
    result    jsonb,
    failure   text NOT NULL DEFAULT ''            -- why it could not be
);
CREATE INDEX rule_trials_tenant ON rule_trials (tenant, asked_at DESC, id DESC);
CREATE INDEX rule_trials_content ON rule_trials (tenant, content, done_at DESC) WHERE state = 'done';
CREATE INDEX rule_trials_waiting ON rule_trials (asked_at) WHERE state = 'waiting';

-- By which trial a version was accepted, or why without one; and why although it is above the budget.
ALTER TABLE rules
    ADD COLUMN trial         uuid REFERENCES rule_trials,
    ADD COLUMN untried       text NOT NULL DEFAULT '',
    ADD COLUMN override_note text NOT NULL DEFAULT '';
DROP TRIGGER audited ON rules;
DROP TRIGGER audited_changes ON rules;
SELECT audit_table('rules', 'rule', '{id}', '{version,rule,enabled,trial,untried}', '{override_note}');

ALTER TABLE rule_trials ENABLE ROW LEVEL SECURITY;
CREATE POLICY tenant_of_api ON rule_trials TO bellwether_api
    USING (tenant = current_setting('bellwether.tenant', true))
    WITH CHECK (tenant = current_setting('bellwether.tenant', true));
CREATE POLICY every_tenant ON rule_trials TO bellwether_notify, bellwether_reader USING (true) WITH CHECK (true);
CREATE POLICY every_tenant_for_notify ON terms TO bellwether_notify USING (true);

GRANT SELECT, INSERT ON rule_trials TO bellwether_api;
GRANT UPDATE (state, attempts, begun_at, done_at, fits, result, failure) ON rule_trials TO bellwether_api, bellwether_notify;
GRANT SELECT ON rule_trials TO bellwether_notify, bellwether_reader;
GRANT SELECT ON terms TO bellwether_notify;

SELECT audit_table('rule_trials', 'rule_trial', '{id}', '{rule_id,content,days,devices,state,fits}');

INSERT INTO personal_places (table_name, column_name, key_column, kind, what, why, how_long) VALUES
    ('rule_trials', 'asked_by', 'id', 'login', 'who asked for a trial of a rule', 'accountability', 'with the trial'),
    ('rules', 'override_note', 'id', 'text', 'mentions in reasons', 'accountability', 'with the version');
