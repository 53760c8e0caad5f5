-- sponsored-search, for bigquery: compiled, never run there. The tables are as `events_table` gives them.

-- 0. feature: Lookup of ads by ad_id
SELECT
  `t5`.`row` AS `example_row`,
  `t12`.`ad_id_advertiser`,
  `t12`.`ad_id_topic`,
  `t12`.`ad_id_bid`
FROM (
  SELECT
    `t0`.`example_row` AS `row`
  FROM `questions` AS `t0`
) AS `t5`
LEFT OUTER JOIN (
  SELECT
    `t10`.`row` AS `of`,
    `t10`.`value_0` AS `ad_id_advertiser`,
    `t10`.`value_1` AS `ad_id_topic`,
    `t10`.`value_2` AS `ad_id_bid`
  FROM (
    SELECT
      `t9`.`row`,
      `t9`.`at`,
      `t9`.`ask_0`,
      `t9`.`key_0`,
      `t9`.`value_0`,
      `t9`.`value_1`,
      `t9`.`value_2`,
      `t9`.`time`,
      `t9`.`known`,
      `t9`.`arrival`,
      ROW_NUMBER() OVER (
        PARTITION BY `t9`.`row`
        ORDER BY `t9`.`time` DESC, `t9`.`known` DESC, `t9`.`arrival` DESC
      ) - 1 AS `place`
    FROM (
      SELECT
        *
      FROM (
        SELECT
          `t6`.`row`,
          `t6`.`at`,
          `t6`.`ask_0`,
          `t7`.`key_0`,
          `t7`.`value_0`,
          `t7`.`value_1`,
          `t7`.`value_2`,
          `t7`.`time`,
          `t7`.`known`,
          `t7`.`arrival`
        FROM (
          SELECT
            `t0`.`example_row` AS `row`,
            `t0`.`at_us` AS `at`,
            `t0`.`ad_id` AS `ask_0`
          FROM `questions` AS `t0`
        ) AS `t6`
        INNER JOIN (
          SELECT
            `t1`.`ad_id` AS `key_0`,
            `t1`.`advertiser` AS `value_0`,
            `t1`.`topic` AS `value_1`,
            `t1`.`bid` AS `value_2`,
            `t1`.`event_us` AS `time`,
            `t1`.`known_us` AS `known`,
            `t1`.`log_row` AS `arrival`
          FROM `ads` AS `t1`
        ) AS `t7`
          ON `t6`.`ask_0` = `t7`.`key_0`
      ) AS `t8`
      WHERE
        `t8`.`time` < `t8`.`at` AND `t8`.`known` <= `t8`.`at`
    ) AS `t9`
  ) AS `t10`
  WHERE
    `t10`.`place` = 0
) AS `t12`
  ON `t5`.`row` = `t12`.`of`;

-- 1. feature: Lookup of users by user_id
SELECT
  `t5`.`row` AS `example_row`,
  `t12`.`user_id_age`,
  `t12`.`user_id_interest`
FROM (
  SELECT
    `t0`.`example_row` AS `row`
  FROM `questions` AS `t0`
) AS `t5`
LEFT OUTER JOIN (
  SELECT
    `t10`.`row` AS `of`,
    `t10`.`value_0` AS `user_id_age`,
    `t10`.`value_1` AS `user_id_interest`
  FROM (
    SELECT
      `t9`.`row`,
      `t9`.`at`,
      `t9`.`ask_0`,
      `t9`.`key_0`,
      `t9`.`value_0`,
      `t9`.`value_1`,
      `t9`.`time`,
      `t9`.`known`,
      `t9`.`arrival`,
      ROW_NUMBER() OVER (
        PARTITION BY `t9`.`row`
        ORDER BY `t9`.`time` DESC, `t9`.`known` DESC, `t9`.`arrival` DESC
      ) - 1 AS `place`
    FROM (
      SELECT
        *
      FROM (
        SELECT
          `t6`.`row`,
          `t6`.`at`,
          `t6`.`ask_0`,
          `t7`.`key_0`,
          `t7`.`value_0`,
          `t7`.`value_1`,
          `t7`.`time`,
          `t7`.`known`,
          `t7`.`arrival`
        FROM (
          SELECT
            `t0`.`example_row` AS `row`,
            `t0`.`at_us` AS `at`,
            `t0`.`user_id` AS `ask_0`
          FROM `questions` AS `t0`
        ) AS `t6`
        INNER JOIN (
          SELECT
            `t1`.`user_id` AS `key_0`,
            `t1`.`age` AS `value_0`,
            `t1`.`interest` AS `value_1`,
            `t1`.`event_us` AS `time`,
            `t1`.`known_us` AS `known`,
            `t1`.`log_row` AS `arrival`
          FROM `users` AS `t1`
        ) AS `t7`
          ON `t6`.`ask_0` = `t7`.`key_0`
      ) AS `t8`
      WHERE
        `t8`.`time` < `t8`.`at` AND `t8`.`known` <= `t8`.`at`
    ) AS `t9`
  ) AS `t10`
  WHERE
    `t10`.`place` = 0
) AS `t12`
  ON `t5`.`row` = `t12`.`of`;

-- 2. feature: Window of impressions by ad_id
SELECT
  `t12`.`row` AS `example_row`,
  CAST(COALESCE(`t12`.`ad_id_shows_7d`, 0) AS FLOAT64) AS `ad_id_shows_7d`,
  `t12`.`ad_id_ctr_7d`
FROM (
  SELECT
    `t4`.`row`,
    `t11`.`row` AS `row_right`,
    `t11`.`ad_id_shows_7d`,
    `t11`.`ad_id_ctr_7d`
  FROM (
    SELECT
      `t0`.`example_row` AS `row`
    FROM `questions` AS `t0`
  ) AS `t4`
  LEFT OUTER JOIN (
    SELECT
      `t9`.`row`,
      COUNTIF(
        (
          `t9`.`clock_0_0` < `t9`.`at`
        )
        AND (
          `t9`.`clock_0_0` >= (
            (
              `t9`.`at` - 604800000000
            ) - (
              MOD((
                MOD(`t9`.`at` - 604800000000, 3600000000)
              ) + 3600000000, 3600000000)
            )
          )
        )
      ) AS `ad_id_shows_7d`,
      AVG(
        IF(
          (
            `t9`.`clock_1_1` < `t9`.`at`
          )
          AND (
            `t9`.`clock_1_1` >= (
              (
                `t9`.`at` - 604800000000
              ) - (
                MOD((
                  MOD(`t9`.`at` - 604800000000, 3600000000)
                ) + 3600000000, 3600000000)
              )
            )
          ),
          `t9`.`value_1`,
          NULL
        )
      ) AS `ad_id_ctr_7d`
    FROM (
      SELECT
        *
      FROM (
        SELECT
          `t5`.`row`,
          `t5`.`at`,
          `t5`.`ask_0`,
          `t7`.`key_0`,
          `t7`.`clock_0_0`,
          `t7`.`clock_1_1`,
          `t7`.`value_1`,
          `t7`.`known`,
          `t7`.`arrival`
        FROM (
          SELECT
            `t0`.`example_row` AS `row`,
            `t0`.`at_us` AS `at`,
            `t0`.`ad_id` AS `ask_0`
          FROM `questions` AS `t0`
        ) AS `t5`
        INNER JOIN (
          SELECT
            `t1`.`ad_id` AS `key_0`,
            `t1`.`event_us` AS `clock_0_0`,
            `t1`.`event_us` + 3600000000 AS `clock_1_1`,
            CASE
              WHEN CAST(`t1`.`clicked` AS FLOAT64) = 0
              THEN 0.0
              WHEN ABS(CAST(`t1`.`clicked` AS FLOAT64)) <= 1.7976931348623157e+308
              THEN CAST(`t1`.`clicked` AS FLOAT64)
              ELSE NULL
            END AS `value_1`,
            `t1`.`known_us` AS `known`,
            `t1`.`log_row` AS `arrival`
          FROM `impressions` AS `t1`
        ) AS `t7`
          ON `t5`.`ask_0` = `t7`.`key_0`
      ) AS `t8`
      WHERE
        `t8`.`known` <= `t8`.`at`
    ) AS `t9`
    GROUP BY
      1
  ) AS `t11`
    ON `t4`.`row` = `t11`.`row`
) AS `t12`;

-- 3. feature: Window of impressions by query
SELECT
  `t12`.`row` AS `example_row`,
  CAST(COALESCE(`t12`.`query_shows_7d`, 0) AS FLOAT64) AS `query_shows_7d`,
  `t12`.`query_ctr_7d`
FROM (
  SELECT
    `t4`.`row`,
    `t11`.`row` AS `row_right`,
    `t11`.`query_shows_7d`,
    `t11`.`query_ctr_7d`
  FROM (
    SELECT
      `t0`.`example_row` AS `row`
    FROM `questions` AS `t0`
  ) AS `t4`
  LEFT OUTER JOIN (
    SELECT
      `t9`.`row`,
      COUNTIF(
        (
          `t9`.`clock_0_0` < `t9`.`at`
        )
        AND (
          `t9`.`clock_0_0` >= (
            (
              `t9`.`at` - 604800000000
            ) - (
              MOD((
                MOD(`t9`.`at` - 604800000000, 3600000000)
              ) + 3600000000, 3600000000)
            )
          )
        )
      ) AS `query_shows_7d`,
      AVG(
        IF(
          (
            `t9`.`clock_1_1` < `t9`.`at`
          )
          AND (
            `t9`.`clock_1_1` >= (
              (
                `t9`.`at` - 604800000000
              ) - (
                MOD((
                  MOD(`t9`.`at` - 604800000000, 3600000000)
                ) + 3600000000, 3600000000)
              )
            )
          ),
          `t9`.`value_1`,
          NULL
        )
      ) AS `query_ctr_7d`
    FROM (
      SELECT
        *
      FROM (
        SELECT
          `t5`.`row`,
          `t5`.`at`,
          `t5`.`ask_0`,
          `t7`.`key_0`,
          `t7`.`clock_0_0`,
          `t7`.`clock_1_1`,
          `t7`.`value_1`,
          `t7`.`known`,
          `t7`.`arrival`
        FROM (
          SELECT
            `t0`.`example_row` AS `row`,
            `t0`.`at_us` AS `at`,
            `t0`.`query` AS `ask_0`
          FROM `questions` AS `t0`
        ) AS `t5`
        INNER JOIN (
          SELECT
            `t1`.`query` AS `key_0`,
            `t1`.`event_us` AS `clock_0_0`,
            `t1`.`event_us` + 3600000000 AS `clock_1_1`,
            CASE
              WHEN CAST(`t1`.`clicked` AS FLOAT64) = 0
              THEN 0.0
              WHEN ABS(CAST(`t1`.`clicked` AS FLOAT64)) <= 1.7976931348623157e+308
              THEN CAST(`t1`.`clicked` AS FLOAT64)
              ELSE NULL
            END AS `value_1`,
            `t1`.`known_us` AS `known`,
            `t1`.`log_row` AS `arrival`
          FROM `impressions` AS `t1`
        ) AS `t7`
          ON `t5`.`ask_0` = `t7`.`key_0`
      ) AS `t8`
      WHERE
        `t8`.`known` <= `t8`.`at`
    ) AS `t9`
    GROUP BY
      1
  ) AS `t11`
    ON `t4`.`row` = `t11`.`row`
) AS `t12`;

-- 4. feature: Window of impressions by user_id
SELECT
  `t12`.`row` AS `example_row`,
  CAST(COALESCE(`t12`.`user_id_shows_7d`, 0) AS FLOAT64) AS `user_id_shows_7d`,
  `t12`.`user_id_ctr_7d`
FROM (
  SELECT
    `t4`.`row`,
    `t11`.`row` AS `row_right`,
    `t11`.`user_id_shows_7d`,
    `t11`.`user_id_ctr_7d`
  FROM (
    SELECT
      `t0`.`example_row` AS `row`
    FROM `questions` AS `t0`
  ) AS `t4`
  LEFT OUTER JOIN (
    SELECT
      `t9`.`row`,
      COUNTIF(
        (
          `t9`.`clock_0_0` < `t9`.`at`
        )
        AND (
          `t9`.`clock_0_0` >= (
            (
              `t9`.`at` - 604800000000
            ) - (
              MOD((
                MOD(`t9`.`at` - 604800000000, 3600000000)
              ) + 3600000000, 3600000000)
            )
          )
        )
      ) AS `user_id_shows_7d`,
      AVG(
        IF(
          (
            `t9`.`clock_1_1` < `t9`.`at`
          )
          AND (
            `t9`.`clock_1_1` >= (
              (
                `t9`.`at` - 604800000000
              ) - (
                MOD((
                  MOD(`t9`.`at` - 604800000000, 3600000000)
                ) + 3600000000, 3600000000)
              )
            )
          ),
          `t9`.`value_1`,
          NULL
        )
      ) AS `user_id_ctr_7d`
    FROM (
      SELECT
        *
      FROM (
        SELECT
          `t5`.`row`,
          `t5`.`at`,
          `t5`.`ask_0`,
          `t7`.`key_0`,
          `t7`.`clock_0_0`,
          `t7`.`clock_1_1`,
          `t7`.`value_1`,
          `t7`.`known`,
          `t7`.`arrival`
        FROM (
          SELECT
            `t0`.`example_row` AS `row`,
            `t0`.`at_us` AS `at`,
            `t0`.`user_id` AS `ask_0`
          FROM `questions` AS `t0`
        ) AS `t5`
        INNER JOIN (
          SELECT
            `t1`.`user_id` AS `key_0`,
            `t1`.`event_us` AS `clock_0_0`,
            `t1`.`event_us` + 3600000000 AS `clock_1_1`,
            CASE
              WHEN CAST(`t1`.`clicked` AS FLOAT64) = 0
              THEN 0.0
              WHEN ABS(CAST(`t1`.`clicked` AS FLOAT64)) <= 1.7976931348623157e+308
              THEN CAST(`t1`.`clicked` AS FLOAT64)
              ELSE NULL
            END AS `value_1`,
            `t1`.`known_us` AS `known`,
            `t1`.`log_row` AS `arrival`
          FROM `impressions` AS `t1`
        ) AS `t7`
          ON `t5`.`ask_0` = `t7`.`key_0`
      ) AS `t8`
      WHERE
        `t8`.`known` <= `t8`.`at`
    ) AS `t9`
    GROUP BY
      1
  ) AS `t11`
    ON `t4`.`row` = `t11`.`row`
) AS `t12`;

-- 5. state: ad_id, track 0, row of ads
SELECT
  `t2`.`key_0` AS `ad_id`,
  `t2`.`time`,
  `t2`.`known`,
  `t2`.`value_0`,
  `t2`.`value_1`,
  `t2`.`value_2`
FROM (
  SELECT
    `t1`.`key_0`,
    `t1`.`time`,
    `t1`.`known`,
    `t1`.`arrival`,
    `t1`.`value_0`,
    `t1`.`value_1`,
    `t1`.`value_2`,
    ROW_NUMBER() OVER (
      PARTITION BY `t1`.`key_0`
      ORDER BY `t1`.`time` DESC, `t1`.`known` DESC, `t1`.`arrival` DESC
    ) - 1 AS `place`
  FROM (
    SELECT
      `t0`.`ad_id` AS `key_0`,
      `t0`.`event_us` AS `time`,
      `t0`.`known_us` AS `known`,
      `t0`.`log_row` AS `arrival`,
      `t0`.`advertiser` AS `value_0`,
      `t0`.`topic` AS `value_1`,
      IF(IS_NAN(`t0`.`bid`), CAST(NULL AS FLOAT64), `t0`.`bid`) AS `value_2`
    FROM `ads` AS `t0`
    WHERE
      `t0`.`ad_id` IS NOT NULL
      AND `t0`.`event_us` < 1302592000000000
      AND `t0`.`known_us` <= 1302592000000000
  ) AS `t1`
) AS `t2`
WHERE
  `t2`.`place` = 0;

-- 6. waiting: ad_id, track 0, row of ads
SELECT
  `t0`.`ad_id`,
  `t0`.`event_us` AS `time`,
  `t0`.`known_us` AS `known`,
  `t0`.`log_row` AS `arrival`,
  `t0`.`advertiser` AS `value_0`,
  `t0`.`topic` AS `value_1`,
  IF(IS_NAN(`t0`.`bid`), CAST(NULL AS FLOAT64), `t0`.`bid`) AS `value_2`
FROM `ads` AS `t0`
WHERE
  `t0`.`ad_id` IS NOT NULL
  AND `t0`.`known_us` <= 1302592000000000
  AND (
    (
      `t0`.`event_us` >= 1302592000000000
    )
    OR (
      `t0`.`known_us` > 1302592000000000
    )
  )
ORDER BY
  `t0`.`log_row` ASC NULLS LAST;

-- 7. state: ad_id, track 1, tiles of impressions
SELECT
  `t2`.`key_0` AS `ad_id`,
  `t2`.`bucket`,
  `t2`.`rows`
FROM (
  SELECT
    `t1`.`key_0`,
    `t1`.`bucket`,
    COUNT(*) AS `rows`
  FROM (
    SELECT
      `t0`.`ad_id` AS `key_0`,
      `t0`.`event_us` AS `time`,
      `t0`.`known_us` AS `known`,
      `t0`.`log_row` AS `arrival`,
      CAST(TRUNC(
        ieee_divide(
          `t0`.`event_us` - (
            MOD((
              MOD(`t0`.`event_us`, 3600000000)
            ) + 3600000000, 3600000000)
          ),
          3600000000
        )
      ) AS INT64) AS `bucket`
    FROM `impressions` AS `t0`
    WHERE
      `t0`.`ad_id` IS NOT NULL
      AND `t0`.`event_us` < 1302592000000000
      AND `t0`.`known_us` <= 1302592000000000
      AND `t0`.`event_us` >= 1301986800000000
  ) AS `t1`
  GROUP BY
    1,
    2
) AS `t2`;

-- 8. state: ad_id, track 2, tiles of impressions
SELECT
  `t2`.`key_0` AS `ad_id`,
  `t2`.`bucket`,
  `t2`.`rows`,
  `t2`.`count_0`,
  `t2`.`sum_0`
FROM (
  SELECT
    `t1`.`key_0`,
    `t1`.`bucket`,
    COUNT(*) AS `rows`,
    COUNT(`t1`.`value_0`) AS `count_0`,
    COALESCE(SUM(`t1`.`value_0`), 0.0) AS `sum_0`
  FROM (
    SELECT
      `t0`.`ad_id` AS `key_0`,
      `t0`.`event_us` + 3600000000 AS `time`,
      `t0`.`known_us` AS `known`,
      `t0`.`log_row` AS `arrival`,
      CASE
        WHEN CAST(`t0`.`clicked` AS FLOAT64) = 0
        THEN 0.0
        WHEN ABS(CAST(`t0`.`clicked` AS FLOAT64)) <= 1.7976931348623157e+308
        THEN CAST(`t0`.`clicked` AS FLOAT64)
        ELSE NULL
      END AS `value_0`,
      CAST(TRUNC(
        ieee_divide(
          (
            `t0`.`event_us` + 3600000000
          ) - (
            MOD((
              MOD(`t0`.`event_us` + 3600000000, 3600000000)
            ) + 3600000000, 3600000000)
          ),
          3600000000
        )
      ) AS INT64) AS `bucket`
    FROM `impressions` AS `t0`
    WHERE
      `t0`.`ad_id` IS NOT NULL
      AND (
        `t0`.`event_us` + 3600000000
      ) < 1302592000000000
      AND `t0`.`known_us` <= 1302592000000000
      AND (
        `t0`.`event_us` + 3600000000
      ) >= 1301986800000000
  ) AS `t1`
  GROUP BY
    1,
    2
) AS `t2`;

-- 9. state: user_id, track 0, row of users
SELECT
  `t2`.`key_0` AS `user_id`,
  `t2`.`time`,
  `t2`.`known`,
  `t2`.`value_0`,
  `t2`.`value_1`
FROM (
  SELECT
    `t1`.`key_0`,
    `t1`.`time`,
    `t1`.`known`,
    `t1`.`arrival`,
    `t1`.`value_0`,
    `t1`.`value_1`,
    ROW_NUMBER() OVER (
      PARTITION BY `t1`.`key_0`
      ORDER BY `t1`.`time` DESC, `t1`.`known` DESC, `t1`.`arrival` DESC
    ) - 1 AS `place`
  FROM (
    SELECT
      `t0`.`user_id` AS `key_0`,
      `t0`.`event_us` AS `time`,
      `t0`.`known_us` AS `known`,
      `t0`.`log_row` AS `arrival`,
      CAST(`t0`.`age` AS FLOAT64) AS `value_0`,
      `t0`.`interest` AS `value_1`
    FROM `users` AS `t0`
    WHERE
      `t0`.`user_id` IS NOT NULL
      AND `t0`.`event_us` < 1302592000000000
      AND `t0`.`known_us` <= 1302592000000000
  ) AS `t1`
) AS `t2`
WHERE
  `t2`.`place` = 0;

-- 10. waiting: user_id, track 0, row of users
SELECT
  `t0`.`user_id`,
  `t0`.`event_us` AS `time`,
  `t0`.`known_us` AS `known`,
  `t0`.`log_row` AS `arrival`,
  CAST(`t0`.`age` AS FLOAT64) AS `value_0`,
  `t0`.`interest` AS `value_1`
FROM `users` AS `t0`
WHERE
  `t0`.`user_id` IS NOT NULL
  AND `t0`.`known_us` <= 1302592000000000
  AND (
    (
      `t0`.`event_us` >= 1302592000000000
    )
    OR (
      `t0`.`known_us` > 1302592000000000
    )
  )
ORDER BY
  `t0`.`log_row` ASC NULLS LAST;

-- 11. state: user_id, track 1, tiles of impressions
SELECT
  `t2`.`key_0` AS `user_id`,
  `t2`.`bucket`,
  `t2`.`rows`
FROM (
  SELECT
    `t1`.`key_0`,
    `t1`.`bucket`,
    COUNT(*) AS `rows`
  FROM (
    SELECT
      `t0`.`user_id` AS `key_0`,
      `t0`.`event_us` AS `time`,
      `t0`.`known_us` AS `known`,
      `t0`.`log_row` AS `arrival`,
      CAST(TRUNC(
        ieee_divide(
          `t0`.`event_us` - (
            MOD((
              MOD(`t0`.`event_us`, 3600000000)
            ) + 3600000000, 3600000000)
          ),
          3600000000
        )
      ) AS INT64) AS `bucket`
    FROM `impressions` AS `t0`
    WHERE
      `t0`.`user_id` IS NOT NULL
      AND `t0`.`event_us` < 1302592000000000
      AND `t0`.`known_us` <= 1302592000000000
      AND `t0`.`event_us` >= 1301986800000000
  ) AS `t1`
  GROUP BY
    1,
    2
) AS `t2`;

-- 12. state: user_id, track 2, tiles of impressions
SELECT
  `t2`.`key_0` AS `user_id`,
  `t2`.`bucket`,
  `t2`.`rows`,
  `t2`.`count_0`,
  `t2`.`sum_0`
FROM (
  SELECT
    `t1`.`key_0`,
    `t1`.`bucket`,
    COUNT(*) AS `rows`,
    COUNT(`t1`.`value_0`) AS `count_0`,
    COALESCE(SUM(`t1`.`value_0`), 0.0) AS `sum_0`
  FROM (
    SELECT
      `t0`.`user_id` AS `key_0`,
      `t0`.`event_us` + 3600000000 AS `time`,
      `t0`.`known_us` AS `known`,
      `t0`.`log_row` AS `arrival`,
      CASE
        WHEN CAST(`t0`.`clicked` AS FLOAT64) = 0
        THEN 0.0
        WHEN ABS(CAST(`t0`.`clicked` AS FLOAT64)) <= 1.7976931348623157e+308
        THEN CAST(`t0`.`clicked` AS FLOAT64)
        ELSE NULL
      END AS `value_0`,
      CAST(TRUNC(
        ieee_divide(
          (
            `t0`.`event_us` + 3600000000
          ) - (
            MOD((
              MOD(`t0`.`event_us` + 3600000000, 3600000000)
            ) + 3600000000, 3600000000)
          ),
          3600000000
        )
      ) AS INT64) AS `bucket`
    FROM `impressions` AS `t0`
    WHERE
      `t0`.`user_id` IS NOT NULL
      AND (
        `t0`.`event_us` + 3600000000
      ) < 1302592000000000
      AND `t0`.`known_us` <= 1302592000000000
      AND (
        `t0`.`event_us` + 3600000000
      ) >= 1301986800000000
  ) AS `t1`
  GROUP BY
    1,
    2
) AS `t2`;

-- 13. state: query, track 0, tiles of impressions
SELECT
  `t2`.`key_0` AS `query`,
  `t2`.`bucket`,
  `t2`.`rows`
FROM (
  SELECT
    `t1`.`key_0`,
    `t1`.`bucket`,
    COUNT(*) AS `rows`
  FROM (
    SELECT
      `t0`.`query` AS `key_0`,
      `t0`.`event_us` AS `time`,
      `t0`.`known_us` AS `known`,
      `t0`.`log_row` AS `arrival`,
      CAST(TRUNC(
        ieee_divide(
          `t0`.`event_us` - (
            MOD((
              MOD(`t0`.`event_us`, 3600000000)
            ) + 3600000000, 3600000000)
          ),
          3600000000
        )
      ) AS INT64) AS `bucket`
    FROM `impressions` AS `t0`
    WHERE
      `t0`.`query` IS NOT NULL
      AND `t0`.`event_us` < 1302592000000000
      AND `t0`.`known_us` <= 1302592000000000
      AND `t0`.`event_us` >= 1301986800000000
  ) AS `t1`
  GROUP BY
    1,
    2
) AS `t2`;

-- 14. waiting: query, track 0, tiles of impressions
SELECT
  `t0`.`query`,
  `t0`.`event_us` AS `time`,
  `t0`.`known_us` AS `known`,
  `t0`.`log_row` AS `arrival`
FROM `impressions` AS `t0`
WHERE
  `t0`.`query` IS NOT NULL
  AND `t0`.`known_us` <= 1302592000000000
  AND (
    (
      `t0`.`event_us` >= 1302592000000000
    )
    OR (
      `t0`.`known_us` > 1302592000000000
    )
  )
ORDER BY
  `t0`.`log_row` ASC NULLS LAST;

-- 15. state: query, track 1, tiles of impressions
SELECT
  `t2`.`key_0` AS `query`,
  `t2`.`bucket`,
  `t2`.`rows`,
  `t2`.`count_0`,
  `t2`.`sum_0`
FROM (
  SELECT
    `t1`.`key_0`,
    `t1`.`bucket`,
    COUNT(*) AS `rows`,
    COUNT(`t1`.`value_0`) AS `count_0`,
    COALESCE(SUM(`t1`.`value_0`), 0.0) AS `sum_0`
  FROM (
    SELECT
      `t0`.`query` AS `key_0`,
      `t0`.`event_us` + 3600000000 AS `time`,
      `t0`.`known_us` AS `known`,
      `t0`.`log_row` AS `arrival`,
      CASE
        WHEN CAST(`t0`.`clicked` AS FLOAT64) = 0
        THEN 0.0
        WHEN ABS(CAST(`t0`.`clicked` AS FLOAT64)) <= 1.7976931348623157e+308
        THEN CAST(`t0`.`clicked` AS FLOAT64)
        ELSE NULL
      END AS `value_0`,
      CAST(TRUNC(
        ieee_divide(
          (
            `t0`.`event_us` + 3600000000
          ) - (
            MOD((
              MOD(`t0`.`event_us` + 3600000000, 3600000000)
            ) + 3600000000, 3600000000)
          ),
          3600000000
        )
      ) AS INT64) AS `bucket`
    FROM `impressions` AS `t0`
    WHERE
      `t0`.`query` IS NOT NULL
      AND (
        `t0`.`event_us` + 3600000000
      ) < 1302592000000000
      AND `t0`.`known_us` <= 1302592000000000
      AND (
        `t0`.`event_us` + 3600000000
      ) >= 1301986800000000
  ) AS `t1`
  GROUP BY
    1,
    2
) AS `t2`;
