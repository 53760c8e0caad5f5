SET 'table.local-time-zone' = 'UTC';

SET 'table.exec.state.ttl' = '7 d';

SET 'execution.checkpointing.interval' = '1 min';

SET 'restart-strategy.type' = 'failure-rate';

SET 'restart-strategy.failure-rate.max-failures-per-interval' = '3';

SET 'restart-strategy.failure-rate.failure-rate-interval' = '5 min';

SET 'restart-strategy.failure-rate.delay' = '5 s';

SET 'table.exec.source.idle-timeout' = '1 min';

CREATE TABLE `source_ads` (
  `table` STRING,
  `ad_id` STRING,
  `advertiser` STRING,
  `bid` DOUBLE,
  `topic` STRING,
  `_arrived` TIMESTAMP_LTZ(3) METADATA FROM 'timestamp',
  WATERMARK FOR `_arrived` AS `_arrived` - INTERVAL '0 00:00:10.001' DAY TO SECOND(3)
) WITH (
  'connector' = 'kafka',
  'topic' = 'events',
  'properties.bootstrap.servers' = 'one:9092,two:9092',
  'properties.group.id' = 'tiles',
  'scan.startup.mode' = 'earliest-offset',
  'format' = 'json'
);

CREATE TEMPORARY VIEW `events_ads` AS
SELECT
  `ad_id` AS `ad_id`,
  `advertiser` AS `advertiser`,
  CASE WHEN ABS(`bid`) <= 1.7976931348623157E+308 THEN `bid` END AS `bid`,
  `topic` AS `topic`,
  (EXTRACT(EPOCH FROM CAST(`_arrived` AS TIMESTAMP(3))) * 1000000 + EXTRACT(MICROSECOND FROM CAST(`_arrived` AS TIMESTAMP(3)))) AS `_arrival`,
  `_arrived`
FROM `source_ads`
WHERE `table` = 'ads';

CREATE TABLE `source_impressions` (
  `table` STRING,
  `time` STRING,
  `ad_id` STRING,
  `clicked` DOUBLE,
  `query` STRING,
  `shown_at` STRING,
  `user_id` STRING,
  `_arrived` TIMESTAMP_LTZ(3) METADATA FROM 'timestamp',
  WATERMARK FOR `_arrived` AS `_arrived` - INTERVAL '0 00:00:10.001' DAY TO SECOND(3)
) WITH (
  'connector' = 'kafka',
  'topic' = 'events',
  'properties.bootstrap.servers' = 'one:9092,two:9092',
  'properties.group.id' = 'tiles',
  'scan.startup.mode' = 'earliest-offset',
  'format' = 'json'
);

CREATE TEMPORARY VIEW `events_impressions` AS
SELECT
  `ad_id` AS `ad_id`,
  CASE WHEN ABS(`clicked`) <= 1.7976931348623157E+308 THEN `clicked` END AS `clicked`,
  `query` AS `query`,
  COALESCE(CASE WHEN COALESCE(`shown_at`, `time`) LIKE '____-%' THEN EXTRACT(EPOCH FROM CAST(REPLACE(REGEXP_REPLACE(COALESCE(`shown_at`, `time`), '(Z|[+]00:00)$', ''), 'T', ' ') AS TIMESTAMP(6))) * 1000000 + EXTRACT(MICROSECOND FROM CAST(REPLACE(REGEXP_REPLACE(COALESCE(`shown_at`, `time`), '(Z|[+]00:00)$', ''), 'T', ' ') AS TIMESTAMP(6))) ELSE CAST(COALESCE(`shown_at`, `time`) AS BIGINT) END, (EXTRACT(EPOCH FROM CAST(`_arrived` AS TIMESTAMP(3))) * 1000000 + EXTRACT(MICROSECOND FROM CAST(`_arrived` AS TIMESTAMP(3))))) AS `shown_at`,
  `user_id` AS `user_id`,
  (EXTRACT(EPOCH FROM CAST(`_arrived` AS TIMESTAMP(3))) * 1000000 + EXTRACT(MICROSECOND FROM CAST(`_arrived` AS TIMESTAMP(3)))) AS `_arrival`,
  `_arrived`
FROM `source_impressions`
WHERE `table` = 'impressions';

CREATE TABLE `source_users` (
  `table` STRING,
  `age` STRING,
  `interest` STRING,
  `user_id` STRING,
  `_arrived` TIMESTAMP_LTZ(3) METADATA FROM 'timestamp',
  WATERMARK FOR `_arrived` AS `_arrived` - INTERVAL '0 00:00:10.001' DAY TO SECOND(3)
) WITH (
  'connector' = 'kafka',
  'topic' = 'events',
  'properties.bootstrap.servers' = 'one:9092,two:9092',
  'properties.group.id' = 'tiles',
  'scan.startup.mode' = 'earliest-offset',
  'format' = 'json'
);

CREATE TEMPORARY VIEW `events_users` AS
SELECT
  `age` AS `age`,
  `interest` AS `interest`,
  `user_id` AS `user_id`,
  (EXTRACT(EPOCH FROM CAST(`_arrived` AS TIMESTAMP(3))) * 1000000 + EXTRACT(MICROSECOND FROM CAST(`_arrived` AS TIMESTAMP(3)))) AS `_arrival`,
  `_arrived`
FROM `source_users`
WHERE `table` = 'users';

CREATE TEMPORARY VIEW `rows_ad_id_0` AS
SELECT
  `ad_id` AS `ad_id`,
  CAST(0 AS BIGINT) AS `time`,
  CAST(0 AS BIGINT) AS `known`,
  `_arrival` AS `arrival`,
  (GREATEST(CAST(0 AS BIGINT) + 1, CAST(0 AS BIGINT)) + 299999999) / 300000000 * 300000000 AS `ready`,
  `advertiser` AS `value_0`,
  `topic` AS `value_1`,
  `bid` AS `value_2`,
  `_arrived`
FROM `events_ads`
WHERE `ad_id` IS NOT NULL;

CREATE TABLE `state_ad_id_0` (
  `ad_id` STRING, `time` BIGINT, `known` BIGINT, `arrival` BIGINT, `value_0` STRING, `value_1` STRING, `value_2` DOUBLE, `until` BIGINT
) WITH ('connector' = 'filesystem', 'path' = 'file:///data/tiles/ad_id/0/state', 'format' = 'json');

CREATE TABLE `waiting_ad_id_0` (
  `ad_id` STRING, `time` BIGINT, `known` BIGINT, `arrival` BIGINT, `value_0` STRING, `value_1` STRING, `value_2` DOUBLE
) WITH ('connector' = 'filesystem', 'path' = 'file:///data/tiles/ad_id/0/waiting', 'format' = 'json');

CREATE TEMPORARY VIEW `rows_ad_id_1` AS
SELECT
  `ad_id` AS `ad_id`,
  `shown_at` AS `time`,
  `shown_at` AS `known`,
  `_arrival` AS `arrival`,
  (GREATEST(`shown_at` + 1, `shown_at`) + 299999999) / 300000000 * 300000000 AS `ready`,
  (`shown_at`) / 3600000000 - CASE WHEN MOD(`shown_at`, 3600000000) < 0 THEN 1 ELSE 0 END AS `bucket`,
  `_arrived`
FROM `events_impressions`
WHERE `ad_id` IS NOT NULL;

CREATE TABLE `state_ad_id_1` (
  `ad_id` STRING, `bucket` BIGINT, `rows` BIGINT, `until` BIGINT
) WITH ('connector' = 'filesystem', 'path' = 'file:///data/tiles/ad_id/1/state', 'format' = 'json');

CREATE TABLE `waiting_ad_id_1` (
  `ad_id` STRING, `time` BIGINT, `known` BIGINT, `arrival` BIGINT
) WITH ('connector' = 'filesystem', 'path' = 'file:///data/tiles/ad_id/1/waiting', 'format' = 'json');

CREATE TEMPORARY VIEW `rows_ad_id_2` AS
SELECT
  `ad_id` AS `ad_id`,
  `shown_at` + 3600000000 AS `time`,
  `shown_at` AS `known`,
  `_arrival` AS `arrival`,
  (GREATEST(`shown_at` + 3600000000 + 1, `shown_at`) + 299999999) / 300000000 * 300000000 AS `ready`,
  `clicked` AS `value_0`,
  (`shown_at` + 3600000000) / 3600000000 - CASE WHEN MOD(`shown_at` + 3600000000, 3600000000) < 0 THEN 1 ELSE 0 END AS `bucket`,
  `_arrived`
FROM `events_impressions`
WHERE `ad_id` IS NOT NULL;

CREATE TABLE `state_ad_id_2` (
  `ad_id` STRING, `bucket` BIGINT, `rows` BIGINT, `count_0` BIGINT, `sum_0` DOUBLE, `until` BIGINT
) WITH ('connector' = 'filesystem', 'path' = 'file:///data/tiles/ad_id/2/state', 'format' = 'json');

CREATE TABLE `waiting_ad_id_2` (
  `ad_id` STRING, `time` BIGINT, `known` BIGINT, `arrival` BIGINT, `value_0` DOUBLE
) WITH ('connector' = 'filesystem', 'path' = 'file:///data/tiles/ad_id/2/waiting', 'format' = 'json');

CREATE TEMPORARY VIEW `rows_user_id_0` AS
SELECT
  `user_id` AS `user_id`,
  CAST(0 AS BIGINT) AS `time`,
  CAST(0 AS BIGINT) AS `known`,
  `_arrival` AS `arrival`,
  (GREATEST(CAST(0 AS BIGINT) + 1, CAST(0 AS BIGINT)) + 299999999) / 300000000 * 300000000 AS `ready`,
  `age` AS `value_0`,
  `interest` AS `value_1`,
  `_arrived`
FROM `events_users`
WHERE `user_id` IS NOT NULL;

CREATE TABLE `state_user_id_0` (
  `user_id` STRING, `time` BIGINT, `known` BIGINT, `arrival` BIGINT, `value_0` STRING, `value_1` STRING, `until` BIGINT
) WITH ('connector' = 'filesystem', 'path' = 'file:///data/tiles/user_id/0/state', 'format' = 'json');

CREATE TABLE `waiting_user_id_0` (
  `user_id` STRING, `time` BIGINT, `known` BIGINT, `arrival` BIGINT, `value_0` STRING, `value_1` STRING
) WITH ('connector' = 'filesystem', 'path' = 'file:///data/tiles/user_id/0/waiting', 'format' = 'json');

CREATE TEMPORARY VIEW `rows_user_id_1` AS
SELECT
  `user_id` AS `user_id`,
  `shown_at` AS `time`,
  `shown_at` AS `known`,
  `_arrival` AS `arrival`,
  (GREATEST(`shown_at` + 1, `shown_at`) + 299999999) / 300000000 * 300000000 AS `ready`,
  (`shown_at`) / 3600000000 - CASE WHEN MOD(`shown_at`, 3600000000) < 0 THEN 1 ELSE 0 END AS `bucket`,
  `_arrived`
FROM `events_impressions`
WHERE `user_id` IS NOT NULL;

CREATE TABLE `state_user_id_1` (
  `user_id` STRING, `bucket` BIGINT, `rows` BIGINT, `until` BIGINT
) WITH ('connector' = 'filesystem', 'path' = 'file:///data/tiles/user_id/1/state', 'format' = 'json');

CREATE TABLE `waiting_user_id_1` (
  `user_id` STRING, `time` BIGINT, `known` BIGINT, `arrival` BIGINT
) WITH ('connector' = 'filesystem', 'path' = 'file:///data/tiles/user_id/1/waiting', 'format' = 'json');

CREATE TEMPORARY VIEW `rows_user_id_2` AS
SELECT
  `user_id` AS `user_id`,
  `shown_at` + 3600000000 AS `time`,
  `shown_at` AS `known`,
  `_arrival` AS `arrival`,
  (GREATEST(`shown_at` + 3600000000 + 1, `shown_at`) + 299999999) / 300000000 * 300000000 AS `ready`,
  `clicked` AS `value_0`,
  (`shown_at` + 3600000000) / 3600000000 - CASE WHEN MOD(`shown_at` + 3600000000, 3600000000) < 0 THEN 1 ELSE 0 END AS `bucket`,
  `_arrived`
FROM `events_impressions`
WHERE `user_id` IS NOT NULL;

CREATE TABLE `state_user_id_2` (
  `user_id` STRING, `bucket` BIGINT, `rows` BIGINT, `count_0` BIGINT, `sum_0` DOUBLE, `until` BIGINT
) WITH ('connector' = 'filesystem', 'path' = 'file:///data/tiles/user_id/2/state', 'format' = 'json');

CREATE TABLE `waiting_user_id_2` (
  `user_id` STRING, `time` BIGINT, `known` BIGINT, `arrival` BIGINT, `value_0` DOUBLE
) WITH ('connector' = 'filesystem', 'path' = 'file:///data/tiles/user_id/2/waiting', 'format' = 'json');

CREATE TEMPORARY VIEW `rows_query_0` AS
SELECT
  `query` AS `query`,
  `shown_at` AS `time`,
  `shown_at` AS `known`,
  `_arrival` AS `arrival`,
  (GREATEST(`shown_at` + 1, `shown_at`) + 299999999) / 300000000 * 300000000 AS `ready`,
  (`shown_at`) / 3600000000 - CASE WHEN MOD(`shown_at`, 3600000000) < 0 THEN 1 ELSE 0 END AS `bucket`,
  `_arrived`
FROM `events_impressions`
WHERE `query` IS NOT NULL;

CREATE TABLE `state_query_0` (
  `query` STRING, `bucket` BIGINT, `rows` BIGINT, `until` BIGINT
) WITH ('connector' = 'filesystem', 'path' = 'file:///data/tiles/query/0/state', 'format' = 'json');

CREATE TABLE `waiting_query_0` (
  `query` STRING, `time` BIGINT, `known` BIGINT, `arrival` BIGINT
) WITH ('connector' = 'filesystem', 'path' = 'file:///data/tiles/query/0/waiting', 'format' = 'json');

CREATE TEMPORARY VIEW `rows_query_1` AS
SELECT
  `query` AS `query`,
  `shown_at` + 3600000000 AS `time`,
  `shown_at` AS `known`,
  `_arrival` AS `arrival`,
  (GREATEST(`shown_at` + 3600000000 + 1, `shown_at`) + 299999999) / 300000000 * 300000000 AS `ready`,
  `clicked` AS `value_0`,
  (`shown_at` + 3600000000) / 3600000000 - CASE WHEN MOD(`shown_at` + 3600000000, 3600000000) < 0 THEN 1 ELSE 0 END AS `bucket`,
  `_arrived`
FROM `events_impressions`
WHERE `query` IS NOT NULL;

CREATE TABLE `state_query_1` (
  `query` STRING, `bucket` BIGINT, `rows` BIGINT, `count_0` BIGINT, `sum_0` DOUBLE, `until` BIGINT
) WITH ('connector' = 'filesystem', 'path' = 'file:///data/tiles/query/1/state', 'format' = 'json');

CREATE TABLE `waiting_query_1` (
  `query` STRING, `time` BIGINT, `known` BIGINT, `arrival` BIGINT, `value_0` DOUBLE
) WITH ('connector' = 'filesystem', 'path' = 'file:///data/tiles/query/1/waiting', 'format' = 'json');

EXECUTE STATEMENT SET BEGIN
INSERT INTO `state_ad_id_0`
SELECT `ad_id`, `time`, `known`, `arrival`, `value_0`, `value_1`, `value_2`, `until`
FROM (
SELECT *, ROW_NUMBER() OVER (PARTITION BY `ad_id`, `window_start`, `window_end`, `until` ORDER BY `time` DESC, `known` DESC, `arrival` DESC) AS `place`
FROM (
  SELECT *, GREATEST(`ready`, EXTRACT(EPOCH FROM `window_end`) * 1000000) AS `until`
  FROM TABLE(TUMBLE(TABLE `rows_ad_id_0`, DESCRIPTOR(`_arrived`), INTERVAL '300' SECOND(3)))
  WHERE TRUE
)
)
WHERE `place` = 1;
INSERT INTO `waiting_ad_id_0`
SELECT `ad_id`, `time`, `known`, `arrival`, `value_0`, `value_1`, `value_2`
FROM `rows_ad_id_0`
WHERE `ready` > `arrival` / 300000000 * 300000000 + 300000000
  AND TRUE;
INSERT INTO `state_ad_id_1`
SELECT `ad_id`, `bucket`, COUNT(*), `until`
FROM (
  SELECT *, GREATEST(`ready`, EXTRACT(EPOCH FROM `window_end`) * 1000000) AS `until`
  FROM TABLE(TUMBLE(TABLE `rows_ad_id_1`, DESCRIPTOR(`_arrived`), INTERVAL '300' SECOND(3)))
  WHERE TRUE
)
GROUP BY `ad_id`, `bucket`, `window_start`, `window_end`, `until`;
INSERT INTO `waiting_ad_id_1`
SELECT `ad_id`, `time`, `known`, `arrival`
FROM `rows_ad_id_1`
WHERE `ready` > `arrival` / 300000000 * 300000000 + 300000000
  AND TRUE;
INSERT INTO `state_ad_id_2`
SELECT `ad_id`, `bucket`, COUNT(*), COUNT(`value_0`), COALESCE(SUM(`value_0`), 0E0), `until`
FROM (
  SELECT *, GREATEST(`ready`, EXTRACT(EPOCH FROM `window_end`) * 1000000) AS `until`
  FROM TABLE(TUMBLE(TABLE `rows_ad_id_2`, DESCRIPTOR(`_arrived`), INTERVAL '300' SECOND(3)))
  WHERE TRUE
)
GROUP BY `ad_id`, `bucket`, `window_start`, `window_end`, `until`;
INSERT INTO `waiting_ad_id_2`
SELECT `ad_id`, `time`, `known`, `arrival`, `value_0`
FROM `rows_ad_id_2`
WHERE `ready` > `arrival` / 300000000 * 300000000 + 300000000
  AND TRUE;
INSERT INTO `state_user_id_0`
SELECT `user_id`, `time`, `known`, `arrival`, `value_0`, `value_1`, `until`
FROM (
SELECT *, ROW_NUMBER() OVER (PARTITION BY `user_id`, `window_start`, `window_end`, `until` ORDER BY `time` DESC, `known` DESC, `arrival` DESC) AS `place`
FROM (
  SELECT *, GREATEST(`ready`, EXTRACT(EPOCH FROM `window_end`) * 1000000) AS `until`
  FROM TABLE(TUMBLE(TABLE `rows_user_id_0`, DESCRIPTOR(`_arrived`), INTERVAL '300' SECOND(3)))
  WHERE TRUE
)
)
WHERE `place` = 1;
INSERT INTO `waiting_user_id_0`
SELECT `user_id`, `time`, `known`, `arrival`, `value_0`, `value_1`
FROM `rows_user_id_0`
WHERE `ready` > `arrival` / 300000000 * 300000000 + 300000000
  AND TRUE;
INSERT INTO `state_user_id_1`
SELECT `user_id`, `bucket`, COUNT(*), `until`
FROM (
  SELECT *, GREATEST(`ready`, EXTRACT(EPOCH FROM `window_end`) * 1000000) AS `until`
  FROM TABLE(TUMBLE(TABLE `rows_user_id_1`, DESCRIPTOR(`_arrived`), INTERVAL '300' SECOND(3)))
  WHERE TRUE
)
GROUP BY `user_id`, `bucket`, `window_start`, `window_end`, `until`;
INSERT INTO `waiting_user_id_1`
SELECT `user_id`, `time`, `known`, `arrival`
FROM `rows_user_id_1`
WHERE `ready` > `arrival` / 300000000 * 300000000 + 300000000
  AND TRUE;
INSERT INTO `state_user_id_2`
SELECT `user_id`, `bucket`, COUNT(*), COUNT(`value_0`), COALESCE(SUM(`value_0`), 0E0), `until`
FROM (
  SELECT *, GREATEST(`ready`, EXTRACT(EPOCH FROM `window_end`) * 1000000) AS `until`
  FROM TABLE(TUMBLE(TABLE `rows_user_id_2`, DESCRIPTOR(`_arrived`), INTERVAL '300' SECOND(3)))
  WHERE TRUE
)
GROUP BY `user_id`, `bucket`, `window_start`, `window_end`, `until`;
INSERT INTO `waiting_user_id_2`
SELECT `user_id`, `time`, `known`, `arrival`, `value_0`
FROM `rows_user_id_2`
WHERE `ready` > `arrival` / 300000000 * 300000000 + 300000000
  AND TRUE;
INSERT INTO `state_query_0`
SELECT `query`, `bucket`, COUNT(*), `until`
FROM (
  SELECT *, GREATEST(`ready`, EXTRACT(EPOCH FROM `window_end`) * 1000000) AS `until`
  FROM TABLE(TUMBLE(TABLE `rows_query_0`, DESCRIPTOR(`_arrived`), INTERVAL '300' SECOND(3)))
  WHERE TRUE
)
GROUP BY `query`, `bucket`, `window_start`, `window_end`, `until`;
INSERT INTO `waiting_query_0`
SELECT `query`, `time`, `known`, `arrival`
FROM `rows_query_0`
WHERE `ready` > `arrival` / 300000000 * 300000000 + 300000000
  AND TRUE;
INSERT INTO `state_query_1`
SELECT `query`, `bucket`, COUNT(*), COUNT(`value_0`), COALESCE(SUM(`value_0`), 0E0), `until`
FROM (
  SELECT *, GREATEST(`ready`, EXTRACT(EPOCH FROM `window_end`) * 1000000) AS `until`
  FROM TABLE(TUMBLE(TABLE `rows_query_1`, DESCRIPTOR(`_arrived`), INTERVAL '300' SECOND(3)))
  WHERE TRUE
)
GROUP BY `query`, `bucket`, `window_start`, `window_end`, `until`;
INSERT INTO `waiting_query_1`
SELECT `query`, `time`, `known`, `arrival`, `value_0`
FROM `rows_query_1`
WHERE `ready` > `arrival` / 300000000 * 300000000 + 300000000
  AND TRUE;
END;
