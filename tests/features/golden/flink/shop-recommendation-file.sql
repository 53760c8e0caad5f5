SET 'table.local-time-zone' = 'UTC';

SET 'table.exec.state.ttl' = '7 d';

SET 'execution.checkpointing.interval' = '1 min';

SET 'restart-strategy.type' = 'failure-rate';

SET 'restart-strategy.failure-rate.max-failures-per-interval' = '3';

SET 'restart-strategy.failure-rate.failure-rate-interval' = '5 min';

SET 'restart-strategy.failure-rate.delay' = '5 s';

CREATE TABLE `source_orders` (
  `time` BIGINT,
  `event` ROW<`table` STRING, `time` STRING, `country` STRING, `Country` STRING, `customer` STRING, `CustomerID` STRING, `invoice` STRING, `InvoiceNo` STRING, `price` DOUBLE, `UnitPrice` DOUBLE, `product` STRING, `StockCode` STRING, `quantity` DOUBLE, `Quantity` DOUBLE, `InvoiceDate` STRING>,
  `_arrived` AS TO_TIMESTAMP_LTZ(`time` / 1000, 3),
  WATERMARK FOR `_arrived` AS TO_TIMESTAMP_LTZ(0, 3)
) WITH (
  'connector' = 'filesystem',
  'path' = 'file:///data/events',
  'source.path.regex-pattern' = '.*/events-[0-9]+-[0-9]+[.]jsonl',
  'format' = 'json'
);

CREATE TEMPORARY VIEW `events_orders` AS
SELECT
  COALESCE(`event`.`country`, `event`.`Country`) AS `country`,
  COALESCE(`event`.`customer`, `event`.`CustomerID`) AS `customer`,
  COALESCE(`event`.`invoice`, `event`.`InvoiceNo`) AS `invoice`,
  CASE WHEN ABS(COALESCE(`event`.`price`, `event`.`UnitPrice`)) <= 1.7976931348623157E+308 THEN COALESCE(`event`.`price`, `event`.`UnitPrice`) END AS `price`,
  COALESCE(`event`.`product`, `event`.`StockCode`) AS `product`,
  CASE WHEN ABS(COALESCE(`event`.`quantity`, `event`.`Quantity`)) <= 1.7976931348623157E+308 THEN COALESCE(`event`.`quantity`, `event`.`Quantity`) END AS `quantity`,
  COALESCE(CASE WHEN COALESCE(`event`.`time`, `event`.`InvoiceDate`) LIKE '____-%' THEN EXTRACT(EPOCH FROM CAST(REPLACE(REGEXP_REPLACE(COALESCE(`event`.`time`, `event`.`InvoiceDate`), '(Z|[+]00:00)$', ''), 'T', ' ') AS TIMESTAMP(6))) * 1000000 + EXTRACT(MICROSECOND FROM CAST(REPLACE(REGEXP_REPLACE(COALESCE(`event`.`time`, `event`.`InvoiceDate`), '(Z|[+]00:00)$', ''), 'T', ' ') AS TIMESTAMP(6))) ELSE CAST(COALESCE(`event`.`time`, `event`.`InvoiceDate`) AS BIGINT) END, `time`) AS `time`,
  `time` AS `_arrival`,
  `_arrived`
FROM `source_orders`
WHERE `event`.`table` = 'orders';

CREATE TEMPORARY VIEW `rows_customer_product_0` AS
SELECT
  `customer` AS `customer`,
  `product` AS `product`,
  `time` AS `time`,
  `time` AS `known`,
  `_arrival` AS `arrival`,
  (GREATEST(`time` + 1, `time`) + 299999999) / 300000000 * 300000000 AS `ready`,
  `invoice` AS `value_0`,
  `_arrived`
FROM `events_orders`
WHERE `customer` IS NOT NULL
  AND `product` IS NOT NULL;

CREATE TABLE `state_customer_product_0` (
  `customer` STRING, `product` STRING, `value` STRING, `time` BIGINT, `until` BIGINT
) WITH ('connector' = 'filesystem', 'path' = 'file:///data/tiles/customer_product/0/state', 'format' = 'json');

CREATE TABLE `waiting_customer_product_0` (
  `customer` STRING, `product` STRING, `time` BIGINT, `known` BIGINT, `arrival` BIGINT, `value_0` STRING
) WITH ('connector' = 'filesystem', 'path' = 'file:///data/tiles/customer_product/0/waiting', 'format' = 'json');

CREATE TEMPORARY VIEW `rows_customer_product_1` AS
SELECT
  `customer` AS `customer`,
  `product` AS `product`,
  `time` AS `time`,
  `time` AS `known`,
  `_arrival` AS `arrival`,
  (GREATEST(`time` + 1, `time`) + 299999999) / 300000000 * 300000000 AS `ready`,
  `quantity` AS `value_0`,
  1.0E0 AS `value_1`,
  `time` AS `value_2`,
  CAST(0 AS BIGINT) AS `bucket`,
  `_arrived`
FROM `events_orders`
WHERE `customer` IS NOT NULL
  AND `product` IS NOT NULL;

CREATE TABLE `state_customer_product_1` (
  `customer` STRING, `product` STRING, `bucket` BIGINT, `rows` BIGINT, `sum_0` DOUBLE, `decayed_1_7171200000000` DOUBLE, `decayed_1_1814400000000` DOUBLE, `min_2` BIGINT, `until` BIGINT
) WITH ('connector' = 'filesystem', 'path' = 'file:///data/tiles/customer_product/1/state', 'format' = 'json');

CREATE TABLE `waiting_customer_product_1` (
  `customer` STRING, `product` STRING, `time` BIGINT, `known` BIGINT, `arrival` BIGINT, `value_0` DOUBLE, `value_1` DOUBLE, `value_2` BIGINT
) WITH ('connector' = 'filesystem', 'path' = 'file:///data/tiles/customer_product/1/waiting', 'format' = 'json');

CREATE TEMPORARY VIEW `rows_customer_product_2` AS
SELECT
  `customer` AS `customer`,
  `product` AS `product`,
  `time` AS `time`,
  `time` AS `known`,
  `_arrival` AS `arrival`,
  (GREATEST(`time` + 1, `time`) + 299999999) / 300000000 * 300000000 AS `ready`,
  `time` AS `value_0`,
  `_arrived`
FROM `events_orders`
WHERE `customer` IS NOT NULL
  AND `product` IS NOT NULL;

CREATE TABLE `state_customer_product_2` (
  `customer` STRING, `product` STRING, `time` BIGINT, `known` BIGINT, `arrival` BIGINT, `value_0` BIGINT, `until` BIGINT
) WITH ('connector' = 'filesystem', 'path' = 'file:///data/tiles/customer_product/2/state', 'format' = 'json');

CREATE TABLE `waiting_customer_product_2` (
  `customer` STRING, `product` STRING, `time` BIGINT, `known` BIGINT, `arrival` BIGINT, `value_0` BIGINT
) WITH ('connector' = 'filesystem', 'path' = 'file:///data/tiles/customer_product/2/waiting', 'format' = 'json');

CREATE TEMPORARY VIEW `rows_customer_product_3` AS
SELECT
  `customer` AS `customer`,
  `product` AS `product`,
  `time` AS `time`,
  `time` AS `known`,
  `_arrival` AS `arrival`,
  (GREATEST(`time` + 1, `time`) + 299999999) / 300000000 * 300000000 AS `ready`,
  (`time`) / 86400000000 - CASE WHEN MOD(`time`, 86400000000) < 0 THEN 1 ELSE 0 END AS `bucket`,
  `_arrived`
FROM `events_orders`
WHERE `customer` IS NOT NULL
  AND `product` IS NOT NULL;

CREATE TABLE `state_customer_product_3` (
  `customer` STRING, `product` STRING, `bucket` BIGINT, `rows` BIGINT, `until` BIGINT
) WITH ('connector' = 'filesystem', 'path' = 'file:///data/tiles/customer_product/3/state', 'format' = 'json');

CREATE TABLE `waiting_customer_product_3` (
  `customer` STRING, `product` STRING, `time` BIGINT, `known` BIGINT, `arrival` BIGINT
) WITH ('connector' = 'filesystem', 'path' = 'file:///data/tiles/customer_product/3/waiting', 'format' = 'json');

CREATE TEMPORARY VIEW `rows_customer_0` AS
SELECT
  `customer` AS `customer`,
  `time` AS `time`,
  `time` AS `known`,
  `_arrival` AS `arrival`,
  (GREATEST(`time` + 1, `time`) + 299999999) / 300000000 * 300000000 AS `ready`,
  `invoice` AS `value_0`,
  `_arrived`
FROM `events_orders`
WHERE `customer` IS NOT NULL;

CREATE TABLE `state_customer_0` (
  `customer` STRING, `value` STRING, `time` BIGINT, `until` BIGINT
) WITH ('connector' = 'filesystem', 'path' = 'file:///data/tiles/customer/0/state', 'format' = 'json');

CREATE TABLE `waiting_customer_0` (
  `customer` STRING, `time` BIGINT, `known` BIGINT, `arrival` BIGINT, `value_0` STRING
) WITH ('connector' = 'filesystem', 'path' = 'file:///data/tiles/customer/0/waiting', 'format' = 'json');

CREATE TEMPORARY VIEW `rows_customer_1` AS
SELECT
  `customer` AS `customer`,
  `time` AS `time`,
  `time` AS `known`,
  `_arrival` AS `arrival`,
  (GREATEST(`time` + 1, `time`) + 299999999) / 300000000 * 300000000 AS `ready`,
  (`time`) / 86400000000 - CASE WHEN MOD(`time`, 86400000000) < 0 THEN 1 ELSE 0 END AS `bucket`,
  `_arrived`
FROM `events_orders`
WHERE `customer` IS NOT NULL;

CREATE TABLE `state_customer_1` (
  `customer` STRING, `bucket` BIGINT, `rows` BIGINT, `until` BIGINT
) WITH ('connector' = 'filesystem', 'path' = 'file:///data/tiles/customer/1/state', 'format' = 'json');

CREATE TABLE `waiting_customer_1` (
  `customer` STRING, `time` BIGINT, `known` BIGINT, `arrival` BIGINT
) WITH ('connector' = 'filesystem', 'path' = 'file:///data/tiles/customer/1/waiting', 'format' = 'json');

CREATE TEMPORARY VIEW `rows_customer_2` AS
SELECT
  `customer` AS `customer`,
  `time` AS `time`,
  `time` AS `known`,
  `_arrival` AS `arrival`,
  (GREATEST(`time` + 1, `time`) + 299999999) / 300000000 * 300000000 AS `ready`,
  CAST(0 AS BIGINT) AS `bucket`,
  `_arrived`
FROM `events_orders`
WHERE `customer` IS NOT NULL;

CREATE TABLE `state_customer_2` (
  `customer` STRING, `bucket` BIGINT, `rows` BIGINT, `until` BIGINT
) WITH ('connector' = 'filesystem', 'path' = 'file:///data/tiles/customer/2/state', 'format' = 'json');

CREATE TABLE `waiting_customer_2` (
  `customer` STRING, `time` BIGINT, `known` BIGINT, `arrival` BIGINT
) WITH ('connector' = 'filesystem', 'path' = 'file:///data/tiles/customer/2/waiting', 'format' = 'json');

CREATE TEMPORARY VIEW `rows_customer_3` AS
SELECT
  `customer` AS `customer`,
  `time` AS `time`,
  `time` AS `known`,
  `_arrival` AS `arrival`,
  (GREATEST(`time` + 1, `time`) + 299999999) / 300000000 * 300000000 AS `ready`,
  `product` AS `value_0`,
  `_arrived`
FROM `events_orders`
WHERE `customer` IS NOT NULL;

CREATE TABLE `state_customer_3` (
  `customer` STRING, `value` STRING, `time` BIGINT, `until` BIGINT
) WITH ('connector' = 'filesystem', 'path' = 'file:///data/tiles/customer/3/state', 'format' = 'json');

CREATE TABLE `waiting_customer_3` (
  `customer` STRING, `time` BIGINT, `known` BIGINT, `arrival` BIGINT, `value_0` STRING
) WITH ('connector' = 'filesystem', 'path' = 'file:///data/tiles/customer/3/waiting', 'format' = 'json');

CREATE TEMPORARY VIEW `rows_customer_4` AS
SELECT
  `customer` AS `customer`,
  `time` AS `time`,
  `time` AS `known`,
  `_arrival` AS `arrival`,
  (GREATEST(`time` + 1, `time`) + 299999999) / 300000000 * 300000000 AS `ready`,
  CASE WHEN ABS((`quantity` * `price`)) <= 1.7976931348623157E+308 THEN (`quantity` * `price`) END AS `value_0`,
  `price` AS `value_1`,
  `quantity` AS `value_2`,
  `time` AS `value_3`,
  CAST(0 AS BIGINT) AS `bucket`,
  `_arrived`
FROM `events_orders`
WHERE `customer` IS NOT NULL;

CREATE TABLE `state_customer_4` (
  `customer` STRING, `bucket` BIGINT, `rows` BIGINT, `sum_0` DOUBLE, `count_1` BIGINT, `sum_1` DOUBLE, `count_2` BIGINT, `sum_2` DOUBLE, `min_3` BIGINT, `until` BIGINT
) WITH ('connector' = 'filesystem', 'path' = 'file:///data/tiles/customer/4/state', 'format' = 'json');

CREATE TABLE `waiting_customer_4` (
  `customer` STRING, `time` BIGINT, `known` BIGINT, `arrival` BIGINT, `value_0` DOUBLE, `value_1` DOUBLE, `value_2` DOUBLE, `value_3` BIGINT
) WITH ('connector' = 'filesystem', 'path' = 'file:///data/tiles/customer/4/waiting', 'format' = 'json');

CREATE TEMPORARY VIEW `rows_customer_5` AS
SELECT
  `customer` AS `customer`,
  `time` AS `time`,
  `time` AS `known`,
  `_arrival` AS `arrival`,
  (GREATEST(`time` + 1, `time`) + 299999999) / 300000000 * 300000000 AS `ready`,
  `time` AS `value_0`,
  `_arrived`
FROM `events_orders`
WHERE `customer` IS NOT NULL;

CREATE TABLE `state_customer_5` (
  `customer` STRING, `time` BIGINT, `known` BIGINT, `arrival` BIGINT, `value_0` BIGINT, `until` BIGINT
) WITH ('connector' = 'filesystem', 'path' = 'file:///data/tiles/customer/5/state', 'format' = 'json');

CREATE TABLE `waiting_customer_5` (
  `customer` STRING, `time` BIGINT, `known` BIGINT, `arrival` BIGINT, `value_0` BIGINT
) WITH ('connector' = 'filesystem', 'path' = 'file:///data/tiles/customer/5/waiting', 'format' = 'json');

CREATE TEMPORARY VIEW `rows_customer_6` AS
SELECT
  `customer` AS `customer`,
  `time` AS `time`,
  `time` AS `known`,
  `_arrival` AS `arrival`,
  (GREATEST(`time` + 1, `time`) + 299999999) / 300000000 * 300000000 AS `ready`,
  `country` AS `value_0`,
  `_arrived`
FROM `events_orders`
WHERE `customer` IS NOT NULL;

CREATE TABLE `state_customer_6` (
  `customer` STRING, `time` BIGINT, `known` BIGINT, `arrival` BIGINT, `value_0` STRING, `until` BIGINT
) WITH ('connector' = 'filesystem', 'path' = 'file:///data/tiles/customer/6/state', 'format' = 'json');

CREATE TABLE `waiting_customer_6` (
  `customer` STRING, `time` BIGINT, `known` BIGINT, `arrival` BIGINT, `value_0` STRING
) WITH ('connector' = 'filesystem', 'path' = 'file:///data/tiles/customer/6/waiting', 'format' = 'json');

CREATE TEMPORARY VIEW `rows_product_0` AS
SELECT
  `product` AS `product`,
  `time` AS `time`,
  `time` AS `known`,
  `_arrival` AS `arrival`,
  (GREATEST(`time` + 1, `time`) + 299999999) / 300000000 * 300000000 AS `ready`,
  `customer` AS `value_0`,
  `_arrived`
FROM `events_orders`
WHERE `product` IS NOT NULL;

CREATE TABLE `state_product_0` (
  `product` STRING, `value` STRING, `time` BIGINT, `until` BIGINT
) WITH ('connector' = 'filesystem', 'path' = 'file:///data/tiles/product/0/state', 'format' = 'json');

CREATE TABLE `waiting_product_0` (
  `product` STRING, `time` BIGINT, `known` BIGINT, `arrival` BIGINT, `value_0` STRING
) WITH ('connector' = 'filesystem', 'path' = 'file:///data/tiles/product/0/waiting', 'format' = 'json');

CREATE TEMPORARY VIEW `rows_product_1` AS
SELECT
  `product` AS `product`,
  `time` AS `time`,
  `time` AS `known`,
  `_arrival` AS `arrival`,
  (GREATEST(`time` + 1, `time`) + 299999999) / 300000000 * 300000000 AS `ready`,
  `price` AS `value_0`,
  `quantity` AS `value_1`,
  `time` AS `value_2`,
  CAST(0 AS BIGINT) AS `bucket`,
  `_arrived`
FROM `events_orders`
WHERE `product` IS NOT NULL;

CREATE TABLE `state_product_1` (
  `product` STRING, `bucket` BIGINT, `rows` BIGINT, `count_0` BIGINT, `sum_0` DOUBLE, `count_1` BIGINT, `sum_1` DOUBLE, `min_2` BIGINT, `until` BIGINT
) WITH ('connector' = 'filesystem', 'path' = 'file:///data/tiles/product/1/state', 'format' = 'json');

CREATE TABLE `waiting_product_1` (
  `product` STRING, `time` BIGINT, `known` BIGINT, `arrival` BIGINT, `value_0` DOUBLE, `value_1` DOUBLE, `value_2` BIGINT
) WITH ('connector' = 'filesystem', 'path' = 'file:///data/tiles/product/1/waiting', 'format' = 'json');

CREATE TEMPORARY VIEW `rows_product_2` AS
SELECT
  `product` AS `product`,
  `time` AS `time`,
  `time` AS `known`,
  `_arrival` AS `arrival`,
  (GREATEST(`time` + 1, `time`) + 299999999) / 300000000 * 300000000 AS `ready`,
  `price` AS `value_0`,
  `_arrived`
FROM `events_orders`
WHERE `product` IS NOT NULL;

CREATE TABLE `state_product_2` (
  `product` STRING, `time` BIGINT, `known` BIGINT, `arrival` BIGINT, `value_0` DOUBLE, `until` BIGINT
) WITH ('connector' = 'filesystem', 'path' = 'file:///data/tiles/product/2/state', 'format' = 'json');

CREATE TABLE `waiting_product_2` (
  `product` STRING, `time` BIGINT, `known` BIGINT, `arrival` BIGINT, `value_0` DOUBLE
) WITH ('connector' = 'filesystem', 'path' = 'file:///data/tiles/product/2/waiting', 'format' = 'json');

CREATE TEMPORARY VIEW `rows_product_3` AS
SELECT
  `product` AS `product`,
  `time` AS `time`,
  `time` AS `known`,
  `_arrival` AS `arrival`,
  (GREATEST(`time` + 1, `time`) + 299999999) / 300000000 * 300000000 AS `ready`,
  `time` AS `value_0`,
  `_arrived`
FROM `events_orders`
WHERE `product` IS NOT NULL;

CREATE TABLE `state_product_3` (
  `product` STRING, `time` BIGINT, `known` BIGINT, `arrival` BIGINT, `value_0` BIGINT, `until` BIGINT
) WITH ('connector' = 'filesystem', 'path' = 'file:///data/tiles/product/3/state', 'format' = 'json');

CREATE TABLE `waiting_product_3` (
  `product` STRING, `time` BIGINT, `known` BIGINT, `arrival` BIGINT, `value_0` BIGINT
) WITH ('connector' = 'filesystem', 'path' = 'file:///data/tiles/product/3/waiting', 'format' = 'json');

EXECUTE STATEMENT SET BEGIN
INSERT INTO `state_customer_product_0`
SELECT `customer`, `product`, `value_0`, MAX(`time`), `until`
FROM (
  SELECT *, GREATEST(`ready`, EXTRACT(EPOCH FROM `window_end`) * 1000000) AS `until`
  FROM TABLE(TUMBLE(TABLE `rows_customer_product_0`, DESCRIPTOR(`_arrived`), INTERVAL '300' SECOND(3)))
  WHERE `value_0` IS NOT NULL
)
GROUP BY `customer`, `product`, `value_0`, `window_start`, `window_end`, `until`;
INSERT INTO `waiting_customer_product_0`
SELECT `customer`, `product`, `time`, `known`, `arrival`, `value_0`
FROM `rows_customer_product_0`
WHERE `ready` > `arrival` / 300000000 * 300000000 + 300000000
  AND `value_0` IS NOT NULL;
INSERT INTO `state_customer_product_1`
SELECT `customer`, `product`, `bucket`, COUNT(*), COALESCE(SUM(`value_0`), 0E0), COALESCE(SUM(`value_1` * POWER(2E0, (`time` - `until`) / 7171200000000E0)), 0E0), COALESCE(SUM(`value_1` * POWER(2E0, (`time` - `until`) / 1814400000000E0)), 0E0), MIN(`value_2`), `until`
FROM (
  SELECT *, GREATEST(`ready`, EXTRACT(EPOCH FROM `window_end`) * 1000000) AS `until`
  FROM TABLE(TUMBLE(TABLE `rows_customer_product_1`, DESCRIPTOR(`_arrived`), INTERVAL '300' SECOND(3)))
  WHERE TRUE
)
GROUP BY `customer`, `product`, `bucket`, `window_start`, `window_end`, `until`;
INSERT INTO `waiting_customer_product_1`
SELECT `customer`, `product`, `time`, `known`, `arrival`, `value_0`, `value_1`, `value_2`
FROM `rows_customer_product_1`
WHERE `ready` > `arrival` / 300000000 * 300000000 + 300000000
  AND TRUE;
INSERT INTO `state_customer_product_2`
SELECT `customer`, `product`, `time`, `known`, `arrival`, `value_0`, `until`
FROM (
SELECT *, ROW_NUMBER() OVER (PARTITION BY `customer`, `product`, `window_start`, `window_end`, `until` ORDER BY `time` DESC, `known` DESC, `arrival` DESC) AS `place`
FROM (
  SELECT *, GREATEST(`ready`, EXTRACT(EPOCH FROM `window_end`) * 1000000) AS `until`
  FROM TABLE(TUMBLE(TABLE `rows_customer_product_2`, DESCRIPTOR(`_arrived`), INTERVAL '300' SECOND(3)))
  WHERE `value_0` IS NOT NULL
)
)
WHERE `place` = 1;
INSERT INTO `waiting_customer_product_2`
SELECT `customer`, `product`, `time`, `known`, `arrival`, `value_0`
FROM `rows_customer_product_2`
WHERE `ready` > `arrival` / 300000000 * 300000000 + 300000000
  AND `value_0` IS NOT NULL;
INSERT INTO `state_customer_product_3`
SELECT `customer`, `product`, `bucket`, COUNT(*), `until`
FROM (
  SELECT *, GREATEST(`ready`, EXTRACT(EPOCH FROM `window_end`) * 1000000) AS `until`
  FROM TABLE(TUMBLE(TABLE `rows_customer_product_3`, DESCRIPTOR(`_arrived`), INTERVAL '300' SECOND(3)))
  WHERE TRUE
)
GROUP BY `customer`, `product`, `bucket`, `window_start`, `window_end`, `until`;
INSERT INTO `waiting_customer_product_3`
SELECT `customer`, `product`, `time`, `known`, `arrival`
FROM `rows_customer_product_3`
WHERE `ready` > `arrival` / 300000000 * 300000000 + 300000000
  AND TRUE;
INSERT INTO `state_customer_0`
SELECT `customer`, `value_0`, MAX(`time`), `until`
FROM (
  SELECT *, GREATEST(`ready`, EXTRACT(EPOCH FROM `window_end`) * 1000000) AS `until`
  FROM TABLE(TUMBLE(TABLE `rows_customer_0`, DESCRIPTOR(`_arrived`), INTERVAL '300' SECOND(3)))
  WHERE `value_0` IS NOT NULL
)
GROUP BY `customer`, `value_0`, `window_start`, `window_end`, `until`;
INSERT INTO `waiting_customer_0`
SELECT `customer`, `time`, `known`, `arrival`, `value_0`
FROM `rows_customer_0`
WHERE `ready` > `arrival` / 300000000 * 300000000 + 300000000
  AND `value_0` IS NOT NULL;
INSERT INTO `state_customer_1`
SELECT `customer`, `bucket`, COUNT(*), `until`
FROM (
  SELECT *, GREATEST(`ready`, EXTRACT(EPOCH FROM `window_end`) * 1000000) AS `until`
  FROM TABLE(TUMBLE(TABLE `rows_customer_1`, DESCRIPTOR(`_arrived`), INTERVAL '300' SECOND(3)))
  WHERE TRUE
)
GROUP BY `customer`, `bucket`, `window_start`, `window_end`, `until`;
INSERT INTO `waiting_customer_1`
SELECT `customer`, `time`, `known`, `arrival`
FROM `rows_customer_1`
WHERE `ready` > `arrival` / 300000000 * 300000000 + 300000000
  AND TRUE;
INSERT INTO `state_customer_2`
SELECT `customer`, `bucket`, COUNT(*), `until`
FROM (
  SELECT *, GREATEST(`ready`, EXTRACT(EPOCH FROM `window_end`) * 1000000) AS `until`
  FROM TABLE(TUMBLE(TABLE `rows_customer_2`, DESCRIPTOR(`_arrived`), INTERVAL '300' SECOND(3)))
  WHERE TRUE
)
GROUP BY `customer`, `bucket`, `window_start`, `window_end`, `until`;
INSERT INTO `waiting_customer_2`
SELECT `customer`, `time`, `known`, `arrival`
FROM `rows_customer_2`
WHERE `ready` > `arrival` / 300000000 * 300000000 + 300000000
  AND TRUE;
INSERT INTO `state_customer_3`
SELECT `customer`, `value_0`, MAX(`time`), `until`
FROM (
  SELECT *, GREATEST(`ready`, EXTRACT(EPOCH FROM `window_end`) * 1000000) AS `until`
  FROM TABLE(TUMBLE(TABLE `rows_customer_3`, DESCRIPTOR(`_arrived`), INTERVAL '300' SECOND(3)))
  WHERE `value_0` IS NOT NULL
)
GROUP BY `customer`, `value_0`, `window_start`, `window_end`, `until`;
INSERT INTO `waiting_customer_3`
SELECT `customer`, `time`, `known`, `arrival`, `value_0`
FROM `rows_customer_3`
WHERE `ready` > `arrival` / 300000000 * 300000000 + 300000000
  AND `value_0` IS NOT NULL;
INSERT INTO `state_customer_4`
SELECT `customer`, `bucket`, COUNT(*), COALESCE(SUM(`value_0`), 0E0), COUNT(`value_1`), COALESCE(SUM(`value_1`), 0E0), COUNT(`value_2`), COALESCE(SUM(`value_2`), 0E0), MIN(`value_3`), `until`
FROM (
  SELECT *, GREATEST(`ready`, EXTRACT(EPOCH FROM `window_end`) * 1000000) AS `until`
  FROM TABLE(TUMBLE(TABLE `rows_customer_4`, DESCRIPTOR(`_arrived`), INTERVAL '300' SECOND(3)))
  WHERE TRUE
)
GROUP BY `customer`, `bucket`, `window_start`, `window_end`, `until`;
INSERT INTO `waiting_customer_4`
SELECT `customer`, `time`, `known`, `arrival`, `value_0`, `value_1`, `value_2`, `value_3`
FROM `rows_customer_4`
WHERE `ready` > `arrival` / 300000000 * 300000000 + 300000000
  AND TRUE;
INSERT INTO `state_customer_5`
SELECT `customer`, `time`, `known`, `arrival`, `value_0`, `until`
FROM (
SELECT *, ROW_NUMBER() OVER (PARTITION BY `customer`, `window_start`, `window_end`, `until` ORDER BY `time` DESC, `known` DESC, `arrival` DESC) AS `place`
FROM (
  SELECT *, GREATEST(`ready`, EXTRACT(EPOCH FROM `window_end`) * 1000000) AS `until`
  FROM TABLE(TUMBLE(TABLE `rows_customer_5`, DESCRIPTOR(`_arrived`), INTERVAL '300' SECOND(3)))
  WHERE `value_0` IS NOT NULL
)
)
WHERE `place` = 1;
INSERT INTO `waiting_customer_5`
SELECT `customer`, `time`, `known`, `arrival`, `value_0`
FROM `rows_customer_5`
WHERE `ready` > `arrival` / 300000000 * 300000000 + 300000000
  AND `value_0` IS NOT NULL;
INSERT INTO `state_customer_6`
SELECT `customer`, `time`, `known`, `arrival`, `value_0`, `until`
FROM (
SELECT *, ROW_NUMBER() OVER (PARTITION BY `customer`, `window_start`, `window_end`, `until` ORDER BY `time` DESC, `known` DESC, `arrival` DESC) AS `place`
FROM (
  SELECT *, GREATEST(`ready`, EXTRACT(EPOCH FROM `window_end`) * 1000000) AS `until`
  FROM TABLE(TUMBLE(TABLE `rows_customer_6`, DESCRIPTOR(`_arrived`), INTERVAL '300' SECOND(3)))
  WHERE TRUE
)
)
WHERE `place` = 1;
INSERT INTO `waiting_customer_6`
SELECT `customer`, `time`, `known`, `arrival`, `value_0`
FROM `rows_customer_6`
WHERE `ready` > `arrival` / 300000000 * 300000000 + 300000000
  AND TRUE;
INSERT INTO `state_product_0`
SELECT `product`, `value_0`, MAX(`time`), `until`
FROM (
  SELECT *, GREATEST(`ready`, EXTRACT(EPOCH FROM `window_end`) * 1000000) AS `until`
  FROM TABLE(TUMBLE(TABLE `rows_product_0`, DESCRIPTOR(`_arrived`), INTERVAL '300' SECOND(3)))
  WHERE `value_0` IS NOT NULL
)
GROUP BY `product`, `value_0`, `window_start`, `window_end`, `until`;
INSERT INTO `waiting_product_0`
SELECT `product`, `time`, `known`, `arrival`, `value_0`
FROM `rows_product_0`
WHERE `ready` > `arrival` / 300000000 * 300000000 + 300000000
  AND `value_0` IS NOT NULL;
INSERT INTO `state_product_1`
SELECT `product`, `bucket`, COUNT(*), COUNT(`value_0`), COALESCE(SUM(`value_0`), 0E0), COUNT(`value_1`), COALESCE(SUM(`value_1`), 0E0), MIN(`value_2`), `until`
FROM (
  SELECT *, GREATEST(`ready`, EXTRACT(EPOCH FROM `window_end`) * 1000000) AS `until`
  FROM TABLE(TUMBLE(TABLE `rows_product_1`, DESCRIPTOR(`_arrived`), INTERVAL '300' SECOND(3)))
  WHERE TRUE
)
GROUP BY `product`, `bucket`, `window_start`, `window_end`, `until`;
INSERT INTO `waiting_product_1`
SELECT `product`, `time`, `known`, `arrival`, `value_0`, `value_1`, `value_2`
FROM `rows_product_1`
WHERE `ready` > `arrival` / 300000000 * 300000000 + 300000000
  AND TRUE;
INSERT INTO `state_product_2`
SELECT `product`, `time`, `known`, `arrival`, `value_0`, `until`
FROM (
SELECT *, ROW_NUMBER() OVER (PARTITION BY `product`, `window_start`, `window_end`, `until` ORDER BY `time` DESC, `known` DESC, `arrival` DESC) AS `place`
FROM (
  SELECT *, GREATEST(`ready`, EXTRACT(EPOCH FROM `window_end`) * 1000000) AS `until`
  FROM TABLE(TUMBLE(TABLE `rows_product_2`, DESCRIPTOR(`_arrived`), INTERVAL '300' SECOND(3)))
  WHERE `value_0` IS NOT NULL
)
)
WHERE `place` = 1;
INSERT INTO `waiting_product_2`
SELECT `product`, `time`, `known`, `arrival`, `value_0`
FROM `rows_product_2`
WHERE `ready` > `arrival` / 300000000 * 300000000 + 300000000
  AND `value_0` IS NOT NULL;
INSERT INTO `state_product_3`
SELECT `product`, `time`, `known`, `arrival`, `value_0`, `until`
FROM (
SELECT *, ROW_NUMBER() OVER (PARTITION BY `product`, `window_start`, `window_end`, `until` ORDER BY `time` DESC, `known` DESC, `arrival` DESC) AS `place`
FROM (
  SELECT *, GREATEST(`ready`, EXTRACT(EPOCH FROM `window_end`) * 1000000) AS `until`
  FROM TABLE(TUMBLE(TABLE `rows_product_3`, DESCRIPTOR(`_arrived`), INTERVAL '300' SECOND(3)))
  WHERE `value_0` IS NOT NULL
)
)
WHERE `place` = 1;
INSERT INTO `waiting_product_3`
SELECT `product`, `time`, `known`, `arrival`, `value_0`
FROM `rows_product_3`
WHERE `ready` > `arrival` / 300000000 * 300000000 + 300000000
  AND `value_0` IS NOT NULL;
END;
