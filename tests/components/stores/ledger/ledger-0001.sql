-- A ledger of revision 0001, as SQLite dumps it: a closed request, an open one, a merge, a champion.
BEGIN TRANSACTION;
CREATE TABLE ledger_decisions (
	id INTEGER NOT NULL, 
	pipeline VARCHAR NOT NULL, 
	what VARCHAR NOT NULL, 
	who VARCHAR NOT NULL, 
	why VARCHAR NOT NULL, 
	as_of DATETIME NOT NULL, 
	recorded_at DATETIME NOT NULL, 
	request_id VARCHAR, 
	event_id VARCHAR, 
	flow_run_id VARCHAR NOT NULL, 
	by_reconcile BOOLEAN NOT NULL, 
	tested_version VARCHAR, 
	served_version VARCHAR, 
	first BOOLEAN NOT NULL, 
	numbers TEXT NOT NULL, 
	mlflow_run_id VARCHAR NOT NULL, 
	PRIMARY KEY (id), 
	CONSTRAINT one_decision_a_request UNIQUE (request_id), 
	FOREIGN KEY(request_id) REFERENCES ledger_requests (id)
);
INSERT INTO "ledger_decisions" VALUES(1,'bikeshare','promoted','automation','gain 4 %','2012-03-01 00:00:00.000000','2026-11-20 12:00:00.000000','rr-911a5ef0b53b','e-1','',0,'1','2',1,'{"gain": 0.04}','');
CREATE TABLE ledger_identity (
	id VARCHAR NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "ledger_identity" VALUES('236c4803-ce0d-407e-bab1-d85b4044ffdb');
CREATE TABLE ledger_leases (
	pipeline VARCHAR NOT NULL, 
	token BIGINT NOT NULL, 
	request_id VARCHAR NOT NULL, 
	holder VARCHAR, 
	expires_at DATETIME NOT NULL, 
	ttl_seconds FLOAT NOT NULL, 
	flow_run_id VARCHAR NOT NULL, 
	PRIMARY KEY (pipeline), 
	FOREIGN KEY(request_id) REFERENCES ledger_requests (id)
);
INSERT INTO "ledger_leases" VALUES('bikeshare',1,'rr-911a5ef0b53b',NULL,'2026-11-20 12:01:00.000000',60.0,'f-1');
CREATE TABLE ledger_marks (
	pipeline VARCHAR NOT NULL, 
	name VARCHAR NOT NULL, 
	value VARCHAR NOT NULL, 
	PRIMARY KEY (pipeline, name)
);
INSERT INTO "ledger_marks" VALUES('bikeshare','alias:champion','2');
CREATE TABLE ledger_merges (
	pipeline VARCHAR NOT NULL, 
	"key" VARCHAR NOT NULL, 
	request_id VARCHAR NOT NULL, 
	cause VARCHAR NOT NULL, 
	reason VARCHAR NOT NULL, 
	as_of DATETIME NOT NULL, 
	merged_at DATETIME NOT NULL, 
	PRIMARY KEY (pipeline, "key"), 
	FOREIGN KEY(request_id) REFERENCES ledger_requests (id)
);
INSERT INTO "ledger_merges" VALUES('bikeshare','drift|3','rr-39f2e56802a8','drift','again','2012-03-08 00:00:00.000000','2026-11-20 12:00:00.000000');
CREATE TABLE ledger_promotions (
	pipeline VARCHAR NOT NULL, 
	epoch BIGINT NOT NULL, 
	version VARCHAR NOT NULL, 
	previous_version VARCHAR, 
	previous_epoch BIGINT, 
	rolled_back_epoch BIGINT, 
	tested_version VARCHAR, 
	digest VARCHAR NOT NULL, 
	package_uri VARCHAR NOT NULL, 
	decision_id INTEGER NOT NULL, 
	at DATETIME NOT NULL, 
	who VARCHAR NOT NULL, 
	as_of DATETIME NOT NULL, 
	PRIMARY KEY (pipeline, epoch), 
	CONSTRAINT one_rollback_an_epoch UNIQUE (pipeline, rolled_back_epoch), 
	UNIQUE (decision_id), 
	FOREIGN KEY(decision_id) REFERENCES ledger_decisions (id)
);
INSERT INTO "ledger_promotions" VALUES('bikeshare',1,'2',NULL,NULL,NULL,'1','d','models:/m-1',1,'2026-11-20 12:00:00.000000','automation','2012-03-01 00:00:00.000000');
CREATE TABLE ledger_requests (
	id VARCHAR NOT NULL, 
	pipeline VARCHAR NOT NULL, 
	"key" VARCHAR NOT NULL, 
	cause VARCHAR NOT NULL, 
	reason VARCHAR NOT NULL, 
	as_of DATETIME NOT NULL, 
	champion_version VARCHAR, 
	evidence TEXT NOT NULL, 
	state VARCHAR NOT NULL, 
	event_id VARCHAR, 
	event_sent_at DATETIME, 
	flow_run_id VARCHAR NOT NULL, 
	by_reconcile BOOLEAN NOT NULL, 
	outcome VARCHAR, 
	written_at DATETIME NOT NULL, 
	closed_at DATETIME, 
	closed_token BIGINT, 
	PRIMARY KEY (id), 
	CONSTRAINT one_request_a_key UNIQUE (pipeline, "key")
);
INSERT INTO "ledger_requests" VALUES('rr-911a5ef0b53b','bikeshare','drift|1','drift','3 of 9 columns drifted','2012-03-01 00:00:00.000000','naive','{"share": 0.33}','closed','e-1','2026-11-20 12:00:00.000000','f-1',0,'promoted','2026-11-20 12:00:00.000000','2026-11-20 12:00:00.000000',1);
INSERT INTO "ledger_requests" VALUES('rr-39f2e56802a8','bikeshare','manual|2','manual','asked','2012-03-08 00:00:00.000000','2','{}','open',NULL,NULL,'',0,NULL,'2026-11-20 12:00:00.000000',NULL,NULL);
CREATE TABLE ledger_verdicts (
	pipeline VARCHAR NOT NULL, 
	window_end DATETIME NOT NULL, 
	policy VARCHAR NOT NULL, 
	action VARCHAR NOT NULL, 
	reason VARCHAR NOT NULL, 
	cause VARCHAR, 
	request_id VARCHAR, 
	as_of DATETIME NOT NULL, 
	written_at DATETIME NOT NULL, 
	PRIMARY KEY (pipeline, window_end, policy), 
	FOREIGN KEY(request_id) REFERENCES ledger_requests (id)
);
INSERT INTO "ledger_verdicts" VALUES('bikeshare','2012-03-01 00:00:00.000000','drift','retrain','3 of 9 columns drifted','drift','rr-911a5ef0b53b','2012-03-01 00:00:00.000000','2026-11-20 12:00:00.000000');
INSERT INTO "ledger_verdicts" VALUES('bikeshare','2012-03-08 00:00:00.000000','drift','hold','nothing drifted',NULL,NULL,'2012-03-08 00:00:00.000000','2026-11-20 12:00:00.000000');
CREATE TABLE ledger_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT ledger_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "ledger_version" VALUES('0001');
CREATE UNIQUE INDEX one_request_in_flight ON ledger_requests (pipeline) WHERE state <> 'closed';
CREATE INDEX ix_ledger_decisions_pipeline ON ledger_decisions (pipeline);
COMMIT;
