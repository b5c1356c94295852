-- Trials of rules are kept for a time: but for those by which a version of a rule was accepted, which stay with it.
CREATE INDEX rules_trial ON rules (trial) WHERE trial IS NOT NULL;
GRANT DELETE ON rule_trials TO bellwether_notify;
UPDATE personal_places SET how_long = 'ninety days, or as the tenant says; with the rule that was accepted by it'
WHERE table_name = 'rule_trials';
