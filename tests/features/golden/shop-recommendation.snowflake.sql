-- shop-recommendation, for snowflake: compiled, never run there. The tables are as `events_table` gives them.

-- 0. feature: Window of orders by customer, product
SELECT
  "t13"."row" AS "example_row",
  CAST(COALESCE("t13"."customer_product_times_all", 0) AS DOUBLE) AS "customer_product_times_all",
  COALESCE("t13"."customer_product_pieces_all", 0) AS "customer_product_pieces_all",
  COALESCE("t13"."customer_product_habit_all", 0) AS "customer_product_habit_all",
  COALESCE("t13"."customer_product_lately_all", 0) AS "customer_product_lately_all",
  "t13"."customer_product_last_all",
  "t13"."customer_product_first_all"
FROM (
  SELECT
    "t12".*
    EXCLUDE ("row_right")
  FROM (
    SELECT
      "t4"."row",
      "t11"."row" AS "row_right",
      "t11"."customer_product_times_all",
      "t11"."customer_product_pieces_all",
      "t11"."customer_product_habit_all",
      "t11"."customer_product_lately_all",
      "t11"."customer_product_last_all",
      "t11"."customer_product_first_all"
    FROM (
      SELECT
        "t0"."example_row" AS "row"
      FROM "questions" AS "t0"
    ) AS "t4"
    LEFT OUTER JOIN (
      SELECT
        "t9"."row",
        COUNT(
          DISTINCT IFF(
            (
              "t9"."clock_0_0" < "t9"."at"
            ) AND (
              "t9"."value_0" IS NOT NULL
            ),
            "t9"."value_0",
            NULL
          )
        ) AS "customer_product_times_all",
        SUM(IFF("t9"."clock_0_0" < "t9"."at", "t9"."value_1", NULL)) AS "customer_product_pieces_all",
        SUM(
          IFF(
            "t9"."clock_0_0" < "t9"."at",
            "t9"."value_2" * EXP(
              (
                CAST(GREATEST("t9"."at" - "t9"."clock_0_0", 0) AS DOUBLE) / 7171200000000.0
              ) * -0.6931471805599453
            ),
            NULL
          )
        ) AS "customer_product_habit_all",
        SUM(
          IFF(
            "t9"."clock_0_0" < "t9"."at",
            "t9"."value_3" * EXP(
              (
                CAST(GREATEST("t9"."at" - "t9"."clock_0_0", 0) AS DOUBLE) / 1814400000000.0
              ) * -0.6931471805599453
            ),
            NULL
          )
        ) AS "customer_product_lately_all",
        MAX_BY(
          IFF(
            (
              "t9"."clock_0_0" < "t9"."at"
            ) AND (
              "t9"."value_4" IS NOT NULL
            ),
            "t9"."value_4",
            NULL
          ),
          IFF(
            (
              "t9"."clock_0_0" < "t9"."at"
            ) AND (
              "t9"."value_4" IS NOT NULL
            ),
            "t9"."order_clock_0_0",
            NULL
          )
        ) AS "customer_product_last_all",
        MIN(IFF("t9"."clock_0_0" < "t9"."at", "t9"."value_5", NULL)) AS "customer_product_first_all"
      FROM (
        SELECT
          *
        FROM (
          SELECT
            "t5"."row",
            "t5"."at",
            "t5"."ask_0",
            "t5"."ask_1",
            "t7"."key_0",
            "t7"."key_1",
            "t7"."clock_0_0",
            "t7"."value_0",
            "t7"."value_1",
            "t7"."value_2",
            "t7"."value_3",
            "t7"."value_4",
            "t7"."value_5",
            "t7"."known",
            "t7"."arrival",
            "t7"."order_clock_0_0"
          FROM (
            SELECT
              "t0"."example_row" AS "row",
              "t0"."at_us" AS "at",
              "t0"."customer" AS "ask_0",
              "t0"."product" AS "ask_1"
            FROM "questions" AS "t0"
          ) AS "t5"
          INNER JOIN (
            SELECT
              "t1"."customer" AS "key_0",
              "t1"."product" AS "key_1",
              "t1"."event_us" AS "clock_0_0",
              "t1"."invoice" AS "value_0",
              CASE
                WHEN CAST("t1"."quantity" AS DOUBLE) = 0
                THEN 0.0
                WHEN ABS(CAST("t1"."quantity" AS DOUBLE)) <= 1.7976931348623157e+308
                THEN CAST("t1"."quantity" AS DOUBLE)
                ELSE NULL
              END AS "value_1",
              CASE
                WHEN 1.0 = 0
                THEN 0.0
                WHEN ABS(1.0) <= 1.7976931348623157e+308
                THEN 1.0
                ELSE NULL
              END AS "value_2",
              CASE
                WHEN 1.0 = 0
                THEN 0.0
                WHEN ABS(1.0) <= 1.7976931348623157e+308
                THEN 1.0
                ELSE NULL
              END AS "value_3",
              CAST("t1"."time" AS TIMESTAMP(6)) AS "value_4",
              CAST("t1"."time" AS TIMESTAMP(6)) AS "value_5",
              "t1"."known_us" AS "known",
              "t1"."log_row" AS "arrival",
              CONCAT(
                CONCAT(
                  CAST("t1"."event_us" + 4611686018427387904 AS VARCHAR),
                  CAST("t1"."known_us" + 4611686018427387904 AS VARCHAR)
                ),
                CAST("t1"."log_row" + 4611686018427387904 AS VARCHAR)
              ) AS "order_clock_0_0"
            FROM "orders" AS "t1"
          ) AS "t7"
            ON "t5"."ask_0" = "t7"."key_0" AND "t5"."ask_1" = "t7"."key_1"
        ) AS "t8"
        WHERE
          "t8"."known" <= "t8"."at"
      ) AS "t9"
      GROUP BY
        1
    ) AS "t11"
      ON "t4"."row" = "t11"."row"
  ) AS "t12"
) AS "t13";

-- 1. feature: Window of orders by customer, product
SELECT
  "t12"."row" AS "example_row",
  CAST(COALESCE("t12"."customer_product_lines_90d", 0) AS DOUBLE) AS "customer_product_lines_90d"
FROM (
  SELECT
    "t5"."row",
    "t11"."row" AS "row_right",
    "t11"."customer_product_lines_90d"
  FROM (
    SELECT
      "t0"."example_row" AS "row"
    FROM "questions" AS "t0"
  ) AS "t5"
  LEFT OUTER JOIN (
    SELECT
      "t9"."row",
      COUNT_IF(
        (
          "t9"."clock_0_0" < "t9"."at"
        )
        AND (
          "t9"."clock_0_0" >= (
            (
              "t9"."at" - 7776000000000
            ) - (
              (
                (
                  (
                    "t9"."at" - 7776000000000
                  ) % 86400000000
                ) + 86400000000
              ) % 86400000000
            )
          )
        )
      ) AS "customer_product_lines_90d"
    FROM (
      SELECT
        *
      FROM (
        SELECT
          "t6"."row",
          "t6"."at",
          "t6"."ask_0",
          "t6"."ask_1",
          "t7"."key_0",
          "t7"."key_1",
          "t7"."clock_0_0",
          "t7"."known",
          "t7"."arrival"
        FROM (
          SELECT
            "t0"."example_row" AS "row",
            "t0"."at_us" AS "at",
            "t0"."customer" AS "ask_0",
            "t0"."product" AS "ask_1"
          FROM "questions" AS "t0"
        ) AS "t6"
        INNER JOIN (
          SELECT
            "t1"."customer" AS "key_0",
            "t1"."product" AS "key_1",
            "t1"."event_us" AS "clock_0_0",
            "t1"."known_us" AS "known",
            "t1"."log_row" AS "arrival"
          FROM "orders" AS "t1"
        ) AS "t7"
          ON "t6"."ask_0" = "t7"."key_0" AND "t6"."ask_1" = "t7"."key_1"
      ) AS "t8"
      WHERE
        "t8"."known" <= "t8"."at"
    ) AS "t9"
    GROUP BY
      1
  ) AS "t11"
    ON "t5"."row" = "t11"."row"
) AS "t12";

-- 2. feature: Window of orders by customer
SELECT
  "t13"."row" AS "example_row",
  CAST(COALESCE("t13"."customer_visits_90d", 0) AS DOUBLE) AS "customer_visits_90d",
  CAST(COALESCE("t13"."customer_visits_all", 0) AS DOUBLE) AS "customer_visits_all",
  CAST(COALESCE("t13"."customer_lines_90d", 0) AS DOUBLE) AS "customer_lines_90d",
  CAST(COALESCE("t13"."customer_lines_all", 0) AS DOUBLE) AS "customer_lines_all",
  CAST(COALESCE("t13"."customer_products_90d", 0) AS DOUBLE) AS "customer_products_90d",
  CAST(COALESCE("t13"."customer_products_all", 0) AS DOUBLE) AS "customer_products_all"
FROM (
  SELECT
    "t12".*
    EXCLUDE ("row_right")
  FROM (
    SELECT
      "t5"."row",
      "t11"."row" AS "row_right",
      "t11"."customer_visits_90d",
      "t11"."customer_visits_all",
      "t11"."customer_lines_90d",
      "t11"."customer_lines_all",
      "t11"."customer_products_90d",
      "t11"."customer_products_all"
    FROM (
      SELECT
        "t0"."example_row" AS "row"
      FROM "questions" AS "t0"
    ) AS "t5"
    LEFT OUTER JOIN (
      SELECT
        "t9"."row",
        COUNT(
          DISTINCT IFF(
            (
              "t9"."clock_0_0" < "t9"."at"
            )
            AND (
              "t9"."clock_0_0" >= (
                (
                  "t9"."at" - 7776000000000
                ) - (
                  (
                    (
                      (
                        "t9"."at" - 7776000000000
                      ) % 86400000000
                    ) + 86400000000
                  ) % 86400000000
                )
              )
            )
            AND (
              "t9"."value_0" IS NOT NULL
            ),
            "t9"."value_0",
            NULL
          )
        ) AS "customer_visits_90d",
        COUNT(
          DISTINCT IFF(
            (
              "t9"."clock_0_0" < "t9"."at"
            ) AND (
              "t9"."value_0" IS NOT NULL
            ),
            "t9"."value_0",
            NULL
          )
        ) AS "customer_visits_all",
        COUNT_IF(
          (
            "t9"."clock_0_0" < "t9"."at"
          )
          AND (
            "t9"."clock_0_0" >= (
              (
                "t9"."at" - 7776000000000
              ) - (
                (
                  (
                    (
                      "t9"."at" - 7776000000000
                    ) % 86400000000
                  ) + 86400000000
                ) % 86400000000
              )
            )
          )
        ) AS "customer_lines_90d",
        COUNT_IF("t9"."clock_0_0" < "t9"."at") AS "customer_lines_all",
        COUNT(
          DISTINCT IFF(
            (
              "t9"."clock_0_0" < "t9"."at"
            )
            AND (
              "t9"."clock_0_0" >= (
                (
                  "t9"."at" - 7776000000000
                ) - (
                  (
                    (
                      (
                        "t9"."at" - 7776000000000
                      ) % 86400000000
                    ) + 86400000000
                  ) % 86400000000
                )
              )
            )
            AND (
              "t9"."value_2" IS NOT NULL
            ),
            "t9"."value_2",
            NULL
          )
        ) AS "customer_products_90d",
        COUNT(
          DISTINCT IFF(
            (
              "t9"."clock_0_0" < "t9"."at"
            ) AND (
              "t9"."value_2" IS NOT NULL
            ),
            "t9"."value_2",
            NULL
          )
        ) AS "customer_products_all"
      FROM (
        SELECT
          *
        FROM (
          SELECT
            "t6"."row",
            "t6"."at",
            "t6"."ask_0",
            "t7"."key_0",
            "t7"."clock_0_0",
            "t7"."value_0",
            "t7"."value_2",
            "t7"."known",
            "t7"."arrival"
          FROM (
            SELECT
              "t0"."example_row" AS "row",
              "t0"."at_us" AS "at",
              "t0"."customer" AS "ask_0"
            FROM "questions" AS "t0"
          ) AS "t6"
          INNER JOIN (
            SELECT
              "t1"."customer" AS "key_0",
              "t1"."event_us" AS "clock_0_0",
              "t1"."invoice" AS "value_0",
              "t1"."product" AS "value_2",
              "t1"."known_us" AS "known",
              "t1"."log_row" AS "arrival"
            FROM "orders" AS "t1"
          ) AS "t7"
            ON "t6"."ask_0" = "t7"."key_0"
        ) AS "t8"
        WHERE
          "t8"."known" <= "t8"."at"
      ) AS "t9"
      GROUP BY
        1
    ) AS "t11"
      ON "t5"."row" = "t11"."row"
  ) AS "t12"
) AS "t13";

-- 3. feature: Window of orders by customer
SELECT
  "t13"."row" AS "example_row",
  COALESCE("t13"."customer_spent_all", 0) AS "customer_spent_all",
  "t13"."customer_price_all",
  "t13"."customer_pieces_all",
  "t13"."customer_last_all",
  "t13"."customer_first_all"
FROM (
  SELECT
    "t12".*
    EXCLUDE ("row_right")
  FROM (
    SELECT
      "t4"."row",
      "t11"."row" AS "row_right",
      "t11"."customer_spent_all",
      "t11"."customer_price_all",
      "t11"."customer_pieces_all",
      "t11"."customer_last_all",
      "t11"."customer_first_all"
    FROM (
      SELECT
        "t0"."example_row" AS "row"
      FROM "questions" AS "t0"
    ) AS "t4"
    LEFT OUTER JOIN (
      SELECT
        "t9"."row",
        SUM(IFF("t9"."clock_0_0" < "t9"."at", "t9"."value_0", NULL)) AS "customer_spent_all",
        AVG(IFF("t9"."clock_0_0" < "t9"."at", "t9"."value_1", NULL)) AS "customer_price_all",
        AVG(IFF("t9"."clock_0_0" < "t9"."at", "t9"."value_2", NULL)) AS "customer_pieces_all",
        MAX_BY(
          IFF(
            (
              "t9"."clock_0_0" < "t9"."at"
            ) AND (
              "t9"."value_3" IS NOT NULL
            ),
            "t9"."value_3",
            NULL
          ),
          IFF(
            (
              "t9"."clock_0_0" < "t9"."at"
            ) AND (
              "t9"."value_3" IS NOT NULL
            ),
            "t9"."order_clock_0_0",
            NULL
          )
        ) AS "customer_last_all",
        MIN(IFF("t9"."clock_0_0" < "t9"."at", "t9"."value_4", NULL)) AS "customer_first_all"
      FROM (
        SELECT
          *
        FROM (
          SELECT
            "t5"."row",
            "t5"."at",
            "t5"."ask_0",
            "t7"."key_0",
            "t7"."clock_0_0",
            "t7"."value_0",
            "t7"."value_1",
            "t7"."value_2",
            "t7"."value_3",
            "t7"."value_4",
            "t7"."known",
            "t7"."arrival",
            "t7"."order_clock_0_0"
          FROM (
            SELECT
              "t0"."example_row" AS "row",
              "t0"."at_us" AS "at",
              "t0"."customer" AS "ask_0"
            FROM "questions" AS "t0"
          ) AS "t5"
          INNER JOIN (
            SELECT
              "t1"."customer" AS "key_0",
              "t1"."event_us" AS "clock_0_0",
              CASE
                WHEN NULLIF(
                  NULLIF(
                    CAST("t1"."quantity" AS DOUBLE) * IFF(
                      "t1"."price" BETWEEN -1.7976931348623157E+308 AND 1.7976931348623157e+308,
                      "t1"."price",
                      CAST(NULL AS DOUBLE)
                    ),
                    CAST('Inf' AS DOUBLE)
                  ),
                  CAST('-Inf' AS DOUBLE)
                ) = 0
                THEN 0.0
                WHEN ABS(
                  NULLIF(
                    NULLIF(
                      CAST("t1"."quantity" AS DOUBLE) * IFF(
                        "t1"."price" BETWEEN -1.7976931348623157E+308 AND 1.7976931348623157e+308,
                        "t1"."price",
                        CAST(NULL AS DOUBLE)
                      ),
                      CAST('Inf' AS DOUBLE)
                    ),
                    CAST('-Inf' AS DOUBLE)
                  )
                ) <= 1.7976931348623157e+308
                THEN NULLIF(
                  NULLIF(
                    CAST("t1"."quantity" AS DOUBLE) * IFF(
                      "t1"."price" BETWEEN -1.7976931348623157E+308 AND 1.7976931348623157e+308,
                      "t1"."price",
                      CAST(NULL AS DOUBLE)
                    ),
                    CAST('Inf' AS DOUBLE)
                  ),
                  CAST('-Inf' AS DOUBLE)
                )
                ELSE NULL
              END AS "value_0",
              CASE
                WHEN IFF(
                  "t1"."price" BETWEEN -1.7976931348623157E+308 AND 1.7976931348623157e+308,
                  "t1"."price",
                  CAST(NULL AS DOUBLE)
                ) = 0
                THEN 0.0
                WHEN ABS(
                  IFF(
                    "t1"."price" BETWEEN -1.7976931348623157E+308 AND 1.7976931348623157e+308,
                    "t1"."price",
                    CAST(NULL AS DOUBLE)
                  )
                ) <= 1.7976931348623157e+308
                THEN IFF(
                  "t1"."price" BETWEEN -1.7976931348623157E+308 AND 1.7976931348623157e+308,
                  "t1"."price",
                  CAST(NULL AS DOUBLE)
                )
                ELSE NULL
              END AS "value_1",
              CASE
                WHEN CAST("t1"."quantity" AS DOUBLE) = 0
                THEN 0.0
                WHEN ABS(CAST("t1"."quantity" AS DOUBLE)) <= 1.7976931348623157e+308
                THEN CAST("t1"."quantity" AS DOUBLE)
                ELSE NULL
              END AS "value_2",
              CAST("t1"."time" AS TIMESTAMP(6)) AS "value_3",
              CAST("t1"."time" AS TIMESTAMP(6)) AS "value_4",
              "t1"."known_us" AS "known",
              "t1"."log_row" AS "arrival",
              CONCAT(
                CONCAT(
                  CAST("t1"."event_us" + 4611686018427387904 AS VARCHAR),
                  CAST("t1"."known_us" + 4611686018427387904 AS VARCHAR)
                ),
                CAST("t1"."log_row" + 4611686018427387904 AS VARCHAR)
              ) AS "order_clock_0_0"
            FROM "orders" AS "t1"
          ) AS "t7"
            ON "t5"."ask_0" = "t7"."key_0"
        ) AS "t8"
        WHERE
          "t8"."known" <= "t8"."at"
      ) AS "t9"
      GROUP BY
        1
    ) AS "t11"
      ON "t4"."row" = "t11"."row"
  ) AS "t12"
) AS "t13";

-- 4. feature: Window of orders by product
SELECT
  "t13"."row" AS "example_row",
  CAST(COALESCE("t13"."product_buyers_7d", 0) AS DOUBLE) AS "product_buyers_7d",
  CAST(COALESCE("t13"."product_buyers_30d", 0) AS DOUBLE) AS "product_buyers_30d",
  CAST(COALESCE("t13"."product_buyers_90d", 0) AS DOUBLE) AS "product_buyers_90d",
  CAST(COALESCE("t13"."product_buyers_all", 0) AS DOUBLE) AS "product_buyers_all"
FROM (
  SELECT
    "t12".*
    EXCLUDE ("row_right")
  FROM (
    SELECT
      "t5"."row",
      "t11"."row" AS "row_right",
      "t11"."product_buyers_7d",
      "t11"."product_buyers_30d",
      "t11"."product_buyers_90d",
      "t11"."product_buyers_all"
    FROM (
      SELECT
        "t0"."example_row" AS "row"
      FROM "questions" AS "t0"
    ) AS "t5"
    LEFT OUTER JOIN (
      SELECT
        "t9"."row",
        COUNT(
          DISTINCT IFF(
            (
              "t9"."clock_0_0" < "t9"."at"
            )
            AND (
              "t9"."clock_0_0" >= (
                (
                  "t9"."at" - 604800000000
                ) - (
                  (
                    (
                      (
                        "t9"."at" - 604800000000
                      ) % 3600000000
                    ) + 3600000000
                  ) % 3600000000
                )
              )
            )
            AND (
              "t9"."value_0" IS NOT NULL
            ),
            "t9"."value_0",
            NULL
          )
        ) AS "product_buyers_7d",
        COUNT(
          DISTINCT IFF(
            (
              "t9"."clock_0_0" < "t9"."at"
            )
            AND (
              "t9"."clock_0_0" >= (
                (
                  "t9"."at" - 2592000000000
                ) - (
                  (
                    (
                      (
                        "t9"."at" - 2592000000000
                      ) % 86400000000
                    ) + 86400000000
                  ) % 86400000000
                )
              )
            )
            AND (
              "t9"."value_0" IS NOT NULL
            ),
            "t9"."value_0",
            NULL
          )
        ) AS "product_buyers_30d",
        COUNT(
          DISTINCT IFF(
            (
              "t9"."clock_0_0" < "t9"."at"
            )
            AND (
              "t9"."clock_0_0" >= (
                (
                  "t9"."at" - 7776000000000
                ) - (
                  (
                    (
                      (
                        "t9"."at" - 7776000000000
                      ) % 86400000000
                    ) + 86400000000
                  ) % 86400000000
                )
              )
            )
            AND (
              "t9"."value_0" IS NOT NULL
            ),
            "t9"."value_0",
            NULL
          )
        ) AS "product_buyers_90d",
        COUNT(
          DISTINCT IFF(
            (
              "t9"."clock_0_0" < "t9"."at"
            ) AND (
              "t9"."value_0" IS NOT NULL
            ),
            "t9"."value_0",
            NULL
          )
        ) AS "product_buyers_all"
      FROM (
        SELECT
          *
        FROM (
          SELECT
            "t6"."row",
            "t6"."at",
            "t6"."ask_0",
            "t7"."key_0",
            "t7"."clock_0_0",
            "t7"."value_0",
            "t7"."known",
            "t7"."arrival"
          FROM (
            SELECT
              "t0"."example_row" AS "row",
              "t0"."at_us" AS "at",
              "t0"."product" AS "ask_0"
            FROM "questions" AS "t0"
          ) AS "t6"
          INNER JOIN (
            SELECT
              "t1"."product" AS "key_0",
              "t1"."event_us" AS "clock_0_0",
              "t1"."customer" AS "value_0",
              "t1"."known_us" AS "known",
              "t1"."log_row" AS "arrival"
            FROM "orders" AS "t1"
          ) AS "t7"
            ON "t6"."ask_0" = "t7"."key_0"
        ) AS "t8"
        WHERE
          "t8"."known" <= "t8"."at"
      ) AS "t9"
      GROUP BY
        1
    ) AS "t11"
      ON "t5"."row" = "t11"."row"
  ) AS "t12"
) AS "t13";

-- 5. feature: Window of orders by product
SELECT
  "t13"."row" AS "example_row",
  CAST(COALESCE("t13"."product_lines_all", 0) AS DOUBLE) AS "product_lines_all",
  "t13"."product_price_all",
  "t13"."product_last_price_all",
  "t13"."product_pieces_all",
  "t13"."product_last_all",
  "t13"."product_first_all"
FROM (
  SELECT
    "t12".*
    EXCLUDE ("row_right")
  FROM (
    SELECT
      "t4"."row",
      "t11"."row" AS "row_right",
      "t11"."product_lines_all",
      "t11"."product_price_all",
      "t11"."product_last_price_all",
      "t11"."product_pieces_all",
      "t11"."product_last_all",
      "t11"."product_first_all"
    FROM (
      SELECT
        "t0"."example_row" AS "row"
      FROM "questions" AS "t0"
    ) AS "t4"
    LEFT OUTER JOIN (
      SELECT
        "t9"."row",
        COUNT_IF("t9"."clock_0_0" < "t9"."at") AS "product_lines_all",
        AVG(IFF("t9"."clock_0_0" < "t9"."at", "t9"."value_1", NULL)) AS "product_price_all",
        MAX_BY(
          IFF(
            (
              "t9"."clock_0_0" < "t9"."at"
            ) AND (
              "t9"."value_2" IS NOT NULL
            ),
            "t9"."value_2",
            NULL
          ),
          IFF(
            (
              "t9"."clock_0_0" < "t9"."at"
            ) AND (
              "t9"."value_2" IS NOT NULL
            ),
            "t9"."order_clock_0_0",
            NULL
          )
        ) AS "product_last_price_all",
        AVG(IFF("t9"."clock_0_0" < "t9"."at", "t9"."value_3", NULL)) AS "product_pieces_all",
        MAX_BY(
          IFF(
            (
              "t9"."clock_0_0" < "t9"."at"
            ) AND (
              "t9"."value_4" IS NOT NULL
            ),
            "t9"."value_4",
            NULL
          ),
          IFF(
            (
              "t9"."clock_0_0" < "t9"."at"
            ) AND (
              "t9"."value_4" IS NOT NULL
            ),
            "t9"."order_clock_0_0",
            NULL
          )
        ) AS "product_last_all",
        MIN(IFF("t9"."clock_0_0" < "t9"."at", "t9"."value_5", NULL)) AS "product_first_all"
      FROM (
        SELECT
          *
        FROM (
          SELECT
            "t5"."row",
            "t5"."at",
            "t5"."ask_0",
            "t7"."key_0",
            "t7"."clock_0_0",
            "t7"."value_1",
            "t7"."value_2",
            "t7"."value_3",
            "t7"."value_4",
            "t7"."value_5",
            "t7"."known",
            "t7"."arrival",
            "t7"."order_clock_0_0"
          FROM (
            SELECT
              "t0"."example_row" AS "row",
              "t0"."at_us" AS "at",
              "t0"."product" AS "ask_0"
            FROM "questions" AS "t0"
          ) AS "t5"
          INNER JOIN (
            SELECT
              "t1"."product" AS "key_0",
              "t1"."event_us" AS "clock_0_0",
              CASE
                WHEN IFF(
                  "t1"."price" BETWEEN -1.7976931348623157E+308 AND 1.7976931348623157e+308,
                  "t1"."price",
                  CAST(NULL AS DOUBLE)
                ) = 0
                THEN 0.0
                WHEN ABS(
                  IFF(
                    "t1"."price" BETWEEN -1.7976931348623157E+308 AND 1.7976931348623157e+308,
                    "t1"."price",
                    CAST(NULL AS DOUBLE)
                  )
                ) <= 1.7976931348623157e+308
                THEN IFF(
                  "t1"."price" BETWEEN -1.7976931348623157E+308 AND 1.7976931348623157e+308,
                  "t1"."price",
                  CAST(NULL AS DOUBLE)
                )
                ELSE NULL
              END AS "value_1",
              CASE
                WHEN IFF(
                  "t1"."price" BETWEEN -1.7976931348623157E+308 AND 1.7976931348623157e+308,
                  "t1"."price",
                  CAST(NULL AS DOUBLE)
                ) = 0
                THEN 0.0
                WHEN ABS(
                  IFF(
                    "t1"."price" BETWEEN -1.7976931348623157E+308 AND 1.7976931348623157e+308,
                    "t1"."price",
                    CAST(NULL AS DOUBLE)
                  )
                ) <= 1.7976931348623157e+308
                THEN IFF(
                  "t1"."price" BETWEEN -1.7976931348623157E+308 AND 1.7976931348623157e+308,
                  "t1"."price",
                  CAST(NULL AS DOUBLE)
                )
                ELSE NULL
              END AS "value_2",
              CASE
                WHEN CAST("t1"."quantity" AS DOUBLE) = 0
                THEN 0.0
                WHEN ABS(CAST("t1"."quantity" AS DOUBLE)) <= 1.7976931348623157e+308
                THEN CAST("t1"."quantity" AS DOUBLE)
                ELSE NULL
              END AS "value_3",
              CAST("t1"."time" AS TIMESTAMP(6)) AS "value_4",
              CAST("t1"."time" AS TIMESTAMP(6)) AS "value_5",
              "t1"."known_us" AS "known",
              "t1"."log_row" AS "arrival",
              CONCAT(
                CONCAT(
                  CAST("t1"."event_us" + 4611686018427387904 AS VARCHAR),
                  CAST("t1"."known_us" + 4611686018427387904 AS VARCHAR)
                ),
                CAST("t1"."log_row" + 4611686018427387904 AS VARCHAR)
              ) AS "order_clock_0_0"
            FROM "orders" AS "t1"
          ) AS "t7"
            ON "t5"."ask_0" = "t7"."key_0"
        ) AS "t8"
        WHERE
          "t8"."known" <= "t8"."at"
      ) AS "t9"
      GROUP BY
        1
    ) AS "t11"
      ON "t4"."row" = "t11"."row"
  ) AS "t12"
) AS "t13";

-- 6. feature: Lookup of orders by customer
SELECT
  "t5"."row" AS "example_row",
  "t12"."customer_country"
FROM (
  SELECT
    "t0"."example_row" AS "row"
  FROM "questions" AS "t0"
) AS "t5"
LEFT OUTER JOIN (
  SELECT
    "t10"."row" AS "of",
    "t10"."value_0" AS "customer_country"
  FROM (
    SELECT
      "t9"."row",
      "t9"."at",
      "t9"."ask_0",
      "t9"."key_0",
      "t9"."value_0",
      "t9"."time",
      "t9"."known",
      "t9"."arrival",
      ROW_NUMBER() OVER (
        PARTITION BY "t9"."row"
        ORDER BY "t9"."time" DESC NULLS LAST, "t9"."known" DESC NULLS LAST, "t9"."arrival" DESC NULLS LAST
      ) - 1 AS "place"
    FROM (
      SELECT
        *
      FROM (
        SELECT
          "t6"."row",
          "t6"."at",
          "t6"."ask_0",
          "t7"."key_0",
          "t7"."value_0",
          "t7"."time",
          "t7"."known",
          "t7"."arrival"
        FROM (
          SELECT
            "t0"."example_row" AS "row",
            "t0"."at_us" AS "at",
            "t0"."customer" AS "ask_0"
          FROM "questions" AS "t0"
        ) AS "t6"
        INNER JOIN (
          SELECT
            "t1"."customer" AS "key_0",
            "t1"."country" AS "value_0",
            "t1"."event_us" AS "time",
            "t1"."known_us" AS "known",
            "t1"."log_row" AS "arrival"
          FROM "orders" AS "t1"
        ) AS "t7"
          ON "t6"."ask_0" = "t7"."key_0"
      ) AS "t8"
      WHERE
        "t8"."time" < "t8"."at" AND "t8"."known" <= "t8"."at"
    ) AS "t9"
  ) AS "t10"
  WHERE
    "t10"."place" = 0
) AS "t12"
  ON "t5"."row" = "t12"."of";

-- 7. state: customer_product, track 0, distinct of orders
SELECT
  "t2"."key_0" AS "customer",
  "t2"."key_1" AS "product",
  "t2"."value",
  "t2"."time"
FROM (
  SELECT
    "t1"."key_0",
    "t1"."key_1",
    "t1"."value",
    MAX("t1"."time") AS "time"
  FROM (
    SELECT
      "t0"."customer" AS "key_0",
      "t0"."product" AS "key_1",
      "t0"."event_us" AS "time",
      "t0"."known_us" AS "known",
      "t0"."log_row" AS "arrival",
      "t0"."invoice" AS "value"
    FROM "orders" AS "t0"
    WHERE
      "t0"."customer" IS NOT NULL
      AND "t0"."product" IS NOT NULL
      AND "t0"."event_us" < 1302592000000000
      AND "t0"."known_us" <= 1302592000000000
      AND "t0"."invoice" IS NOT NULL
  ) AS "t1"
  GROUP BY
    1,
    2,
    3
) AS "t2";

-- 8. waiting: customer_product, track 0, distinct of orders
SELECT
  "t0"."customer",
  "t0"."product",
  "t0"."event_us" AS "time",
  "t0"."known_us" AS "known",
  "t0"."log_row" AS "arrival",
  "t0"."invoice" AS "value_0"
FROM "orders" AS "t0"
WHERE
  "t0"."customer" IS NOT NULL
  AND "t0"."product" IS NOT NULL
  AND "t0"."known_us" <= 1302592000000000
  AND (
    (
      "t0"."event_us" >= 1302592000000000
    )
    OR (
      "t0"."known_us" > 1302592000000000
    )
  )
ORDER BY
  "t0"."log_row" ASC;

-- 9. state: customer_product, track 1, tiles of orders
SELECT
  "t2"."key_0" AS "customer",
  "t2"."key_1" AS "product",
  "t2"."bucket",
  "t2"."rows",
  "t2"."sum_0",
  "t2"."decayed_1_7171200000000",
  "t2"."decayed_1_1814400000000",
  "t2"."min_2",
  1302592000000000 AS "as_of"
FROM (
  SELECT
    "t1"."key_0",
    "t1"."key_1",
    "t1"."bucket",
    COUNT(*) AS "rows",
    COALESCE(SUM("t1"."value_0"), 0.0) AS "sum_0",
    COALESCE(
      SUM(
        "t1"."value_1" * EXP(
          (
            CAST(1302592000000000 - "t1"."time" AS DOUBLE) / 7171200000000.0
          ) * -0.6931471805599453
        )
      ),
      0.0
    ) AS "decayed_1_7171200000000",
    COALESCE(
      SUM(
        "t1"."value_1" * EXP(
          (
            CAST(1302592000000000 - "t1"."time" AS DOUBLE) / 1814400000000.0
          ) * -0.6931471805599453
        )
      ),
      0.0
    ) AS "decayed_1_1814400000000",
    MIN("t1"."value_2") AS "min_2"
  FROM (
    SELECT
      "t0"."customer" AS "key_0",
      "t0"."product" AS "key_1",
      "t0"."event_us" AS "time",
      "t0"."known_us" AS "known",
      "t0"."log_row" AS "arrival",
      CASE
        WHEN CAST("t0"."quantity" AS DOUBLE) = 0
        THEN 0.0
        WHEN ABS(CAST("t0"."quantity" AS DOUBLE)) <= 1.7976931348623157e+308
        THEN CAST("t0"."quantity" AS DOUBLE)
        ELSE NULL
      END AS "value_0",
      CASE
        WHEN 1.0 = 0
        THEN 0.0
        WHEN ABS(1.0) <= 1.7976931348623157e+308
        THEN 1.0
        ELSE NULL
      END AS "value_1",
      CAST("t0"."time" AS TIMESTAMP(6)) AS "value_2",
      0 AS "bucket"
    FROM "orders" AS "t0"
    WHERE
      "t0"."customer" IS NOT NULL
      AND "t0"."product" IS NOT NULL
      AND "t0"."event_us" < 1302592000000000
      AND "t0"."known_us" <= 1302592000000000
  ) AS "t1"
  GROUP BY
    1,
    2,
    3
) AS "t2";

-- 10. state: customer_product, track 2, newest of orders
SELECT
  "t2"."key_0" AS "customer",
  "t2"."key_1" AS "product",
  "t2"."time",
  "t2"."known",
  "t2"."value_0"
FROM (
  SELECT
    "t1"."key_0",
    "t1"."key_1",
    "t1"."time",
    "t1"."known",
    "t1"."arrival",
    "t1"."value_0",
    ROW_NUMBER() OVER (
      PARTITION BY "t1"."key_0", "t1"."key_1"
      ORDER BY "t1"."time" DESC NULLS LAST, "t1"."known" DESC NULLS LAST, "t1"."arrival" DESC NULLS LAST
    ) - 1 AS "place"
  FROM (
    SELECT
      "t0"."customer" AS "key_0",
      "t0"."product" AS "key_1",
      "t0"."event_us" AS "time",
      "t0"."known_us" AS "known",
      "t0"."log_row" AS "arrival",
      CAST("t0"."time" AS TIMESTAMP(6)) AS "value_0"
    FROM "orders" AS "t0"
    WHERE
      "t0"."customer" IS NOT NULL
      AND "t0"."product" IS NOT NULL
      AND "t0"."event_us" < 1302592000000000
      AND "t0"."known_us" <= 1302592000000000
      AND CAST("t0"."time" AS TIMESTAMP(6)) IS NOT NULL
  ) AS "t1"
) AS "t2"
WHERE
  "t2"."place" = 0;

-- 11. state: customer_product, track 3, tiles of orders
SELECT
  "t2"."key_0" AS "customer",
  "t2"."key_1" AS "product",
  "t2"."bucket",
  "t2"."rows"
FROM (
  SELECT
    "t1"."key_0",
    "t1"."key_1",
    "t1"."bucket",
    COUNT(*) AS "rows"
  FROM (
    SELECT
      "t0"."customer" AS "key_0",
      "t0"."product" AS "key_1",
      "t0"."event_us" AS "time",
      "t0"."known_us" AS "known",
      "t0"."log_row" AS "arrival",
      CAST((
        "t0"."event_us" - (
          (
            (
              "t0"."event_us" % 86400000000
            ) + 86400000000
          ) % 86400000000
        )
      ) / 86400000000 AS BIGINT) AS "bucket"
    FROM "orders" AS "t0"
    WHERE
      "t0"."customer" IS NOT NULL
      AND "t0"."product" IS NOT NULL
      AND "t0"."event_us" < 1302592000000000
      AND "t0"."known_us" <= 1302592000000000
      AND "t0"."event_us" >= 1294790400000000
  ) AS "t1"
  GROUP BY
    1,
    2,
    3
) AS "t2";

-- 12. state: customer, track 0, distinct of orders
SELECT
  "t2"."key_0" AS "customer",
  "t2"."value",
  "t2"."time"
FROM (
  SELECT
    "t1"."key_0",
    "t1"."value",
    MAX("t1"."time") AS "time"
  FROM (
    SELECT
      "t0"."customer" AS "key_0",
      "t0"."event_us" AS "time",
      "t0"."known_us" AS "known",
      "t0"."log_row" AS "arrival",
      "t0"."invoice" AS "value"
    FROM "orders" AS "t0"
    WHERE
      "t0"."customer" IS NOT NULL
      AND "t0"."event_us" < 1302592000000000
      AND "t0"."known_us" <= 1302592000000000
      AND "t0"."invoice" IS NOT NULL
  ) AS "t1"
  GROUP BY
    1,
    2
) AS "t2";

-- 13. waiting: customer, track 0, distinct of orders
SELECT
  "t0"."customer",
  "t0"."event_us" AS "time",
  "t0"."known_us" AS "known",
  "t0"."log_row" AS "arrival",
  "t0"."invoice" AS "value_0"
FROM "orders" AS "t0"
WHERE
  "t0"."customer" IS NOT NULL
  AND "t0"."known_us" <= 1302592000000000
  AND (
    (
      "t0"."event_us" >= 1302592000000000
    )
    OR (
      "t0"."known_us" > 1302592000000000
    )
  )
ORDER BY
  "t0"."log_row" ASC;

-- 14. state: customer, track 1, tiles of orders
SELECT
  "t2"."key_0" AS "customer",
  "t2"."bucket",
  "t2"."rows"
FROM (
  SELECT
    "t1"."key_0",
    "t1"."bucket",
    COUNT(*) AS "rows"
  FROM (
    SELECT
      "t0"."customer" AS "key_0",
      "t0"."event_us" AS "time",
      "t0"."known_us" AS "known",
      "t0"."log_row" AS "arrival",
      CAST((
        "t0"."event_us" - (
          (
            (
              "t0"."event_us" % 86400000000
            ) + 86400000000
          ) % 86400000000
        )
      ) / 86400000000 AS BIGINT) AS "bucket"
    FROM "orders" AS "t0"
    WHERE
      "t0"."customer" IS NOT NULL
      AND "t0"."event_us" < 1302592000000000
      AND "t0"."known_us" <= 1302592000000000
      AND "t0"."event_us" >= 1294790400000000
  ) AS "t1"
  GROUP BY
    1,
    2
) AS "t2";

-- 15. state: customer, track 2, tiles of orders
SELECT
  "t2"."key_0" AS "customer",
  "t2"."bucket",
  "t2"."rows"
FROM (
  SELECT
    "t1"."key_0",
    "t1"."bucket",
    COUNT(*) AS "rows"
  FROM (
    SELECT
      "t0"."customer" AS "key_0",
      "t0"."event_us" AS "time",
      "t0"."known_us" AS "known",
      "t0"."log_row" AS "arrival",
      0 AS "bucket"
    FROM "orders" AS "t0"
    WHERE
      "t0"."customer" IS NOT NULL
      AND "t0"."event_us" < 1302592000000000
      AND "t0"."known_us" <= 1302592000000000
  ) AS "t1"
  GROUP BY
    1,
    2
) AS "t2";

-- 16. state: customer, track 3, distinct of orders
SELECT
  "t2"."key_0" AS "customer",
  "t2"."value",
  "t2"."time"
FROM (
  SELECT
    "t1"."key_0",
    "t1"."value",
    MAX("t1"."time") AS "time"
  FROM (
    SELECT
      "t0"."customer" AS "key_0",
      "t0"."event_us" AS "time",
      "t0"."known_us" AS "known",
      "t0"."log_row" AS "arrival",
      "t0"."product" AS "value"
    FROM "orders" AS "t0"
    WHERE
      "t0"."customer" IS NOT NULL
      AND "t0"."event_us" < 1302592000000000
      AND "t0"."known_us" <= 1302592000000000
      AND "t0"."product" IS NOT NULL
  ) AS "t1"
  GROUP BY
    1,
    2
) AS "t2";

-- 17. state: customer, track 4, tiles of orders
SELECT
  "t2"."key_0" AS "customer",
  "t2"."bucket",
  "t2"."rows",
  "t2"."sum_0",
  "t2"."count_1",
  "t2"."sum_1",
  "t2"."count_2",
  "t2"."sum_2",
  "t2"."min_3"
FROM (
  SELECT
    "t1"."key_0",
    "t1"."bucket",
    COUNT(*) AS "rows",
    COALESCE(SUM("t1"."value_0"), 0.0) AS "sum_0",
    COUNT("t1"."value_1") AS "count_1",
    COALESCE(SUM("t1"."value_1"), 0.0) AS "sum_1",
    COUNT("t1"."value_2") AS "count_2",
    COALESCE(SUM("t1"."value_2"), 0.0) AS "sum_2",
    MIN("t1"."value_3") AS "min_3"
  FROM (
    SELECT
      "t0"."customer" AS "key_0",
      "t0"."event_us" AS "time",
      "t0"."known_us" AS "known",
      "t0"."log_row" AS "arrival",
      CASE
        WHEN NULLIF(
          NULLIF(
            CAST("t0"."quantity" AS DOUBLE) * IFF(
              "t0"."price" BETWEEN -1.7976931348623157E+308 AND 1.7976931348623157e+308,
              "t0"."price",
              CAST(NULL AS DOUBLE)
            ),
            CAST('Inf' AS DOUBLE)
          ),
          CAST('-Inf' AS DOUBLE)
        ) = 0
        THEN 0.0
        WHEN ABS(
          NULLIF(
            NULLIF(
              CAST("t0"."quantity" AS DOUBLE) * IFF(
                "t0"."price" BETWEEN -1.7976931348623157E+308 AND 1.7976931348623157e+308,
                "t0"."price",
                CAST(NULL AS DOUBLE)
              ),
              CAST('Inf' AS DOUBLE)
            ),
            CAST('-Inf' AS DOUBLE)
          )
        ) <= 1.7976931348623157e+308
        THEN NULLIF(
          NULLIF(
            CAST("t0"."quantity" AS DOUBLE) * IFF(
              "t0"."price" BETWEEN -1.7976931348623157E+308 AND 1.7976931348623157e+308,
              "t0"."price",
              CAST(NULL AS DOUBLE)
            ),
            CAST('Inf' AS DOUBLE)
          ),
          CAST('-Inf' AS DOUBLE)
        )
        ELSE NULL
      END AS "value_0",
      CASE
        WHEN IFF(
          "t0"."price" BETWEEN -1.7976931348623157E+308 AND 1.7976931348623157e+308,
          "t0"."price",
          CAST(NULL AS DOUBLE)
        ) = 0
        THEN 0.0
        WHEN ABS(
          IFF(
            "t0"."price" BETWEEN -1.7976931348623157E+308 AND 1.7976931348623157e+308,
            "t0"."price",
            CAST(NULL AS DOUBLE)
          )
        ) <= 1.7976931348623157e+308
        THEN IFF(
          "t0"."price" BETWEEN -1.7976931348623157E+308 AND 1.7976931348623157e+308,
          "t0"."price",
          CAST(NULL AS DOUBLE)
        )
        ELSE NULL
      END AS "value_1",
      CASE
        WHEN CAST("t0"."quantity" AS DOUBLE) = 0
        THEN 0.0
        WHEN ABS(CAST("t0"."quantity" AS DOUBLE)) <= 1.7976931348623157e+308
        THEN CAST("t0"."quantity" AS DOUBLE)
        ELSE NULL
      END AS "value_2",
      CAST("t0"."time" AS TIMESTAMP(6)) AS "value_3",
      0 AS "bucket"
    FROM "orders" AS "t0"
    WHERE
      "t0"."customer" IS NOT NULL
      AND "t0"."event_us" < 1302592000000000
      AND "t0"."known_us" <= 1302592000000000
  ) AS "t1"
  GROUP BY
    1,
    2
) AS "t2";

-- 18. state: customer, track 5, newest of orders
SELECT
  "t2"."key_0" AS "customer",
  "t2"."time",
  "t2"."known",
  "t2"."value_0"
FROM (
  SELECT
    "t1"."key_0",
    "t1"."time",
    "t1"."known",
    "t1"."arrival",
    "t1"."value_0",
    ROW_NUMBER() OVER (
      PARTITION BY "t1"."key_0"
      ORDER BY "t1"."time" DESC NULLS LAST, "t1"."known" DESC NULLS LAST, "t1"."arrival" DESC NULLS LAST
    ) - 1 AS "place"
  FROM (
    SELECT
      "t0"."customer" AS "key_0",
      "t0"."event_us" AS "time",
      "t0"."known_us" AS "known",
      "t0"."log_row" AS "arrival",
      CAST("t0"."time" AS TIMESTAMP(6)) AS "value_0"
    FROM "orders" AS "t0"
    WHERE
      "t0"."customer" IS NOT NULL
      AND "t0"."event_us" < 1302592000000000
      AND "t0"."known_us" <= 1302592000000000
      AND CAST("t0"."time" AS TIMESTAMP(6)) IS NOT NULL
  ) AS "t1"
) AS "t2"
WHERE
  "t2"."place" = 0;

-- 19. state: customer, track 6, row of orders
SELECT
  "t2"."key_0" AS "customer",
  "t2"."time",
  "t2"."known",
  "t2"."value_0"
FROM (
  SELECT
    "t1"."key_0",
    "t1"."time",
    "t1"."known",
    "t1"."arrival",
    "t1"."value_0",
    ROW_NUMBER() OVER (
      PARTITION BY "t1"."key_0"
      ORDER BY "t1"."time" DESC NULLS LAST, "t1"."known" DESC NULLS LAST, "t1"."arrival" DESC NULLS LAST
    ) - 1 AS "place"
  FROM (
    SELECT
      "t0"."customer" AS "key_0",
      "t0"."event_us" AS "time",
      "t0"."known_us" AS "known",
      "t0"."log_row" AS "arrival",
      "t0"."country" AS "value_0"
    FROM "orders" AS "t0"
    WHERE
      "t0"."customer" IS NOT NULL
      AND "t0"."event_us" < 1302592000000000
      AND "t0"."known_us" <= 1302592000000000
  ) AS "t1"
) AS "t2"
WHERE
  "t2"."place" = 0;

-- 20. state: product, track 0, distinct of orders
SELECT
  "t2"."key_0" AS "product",
  "t2"."value",
  "t2"."time"
FROM (
  SELECT
    "t1"."key_0",
    "t1"."value",
    MAX("t1"."time") AS "time"
  FROM (
    SELECT
      "t0"."product" AS "key_0",
      "t0"."event_us" AS "time",
      "t0"."known_us" AS "known",
      "t0"."log_row" AS "arrival",
      "t0"."customer" AS "value"
    FROM "orders" AS "t0"
    WHERE
      "t0"."product" IS NOT NULL
      AND "t0"."event_us" < 1302592000000000
      AND "t0"."known_us" <= 1302592000000000
      AND "t0"."customer" IS NOT NULL
  ) AS "t1"
  GROUP BY
    1,
    2
) AS "t2";

-- 21. waiting: product, track 0, distinct of orders
SELECT
  "t0"."product",
  "t0"."event_us" AS "time",
  "t0"."known_us" AS "known",
  "t0"."log_row" AS "arrival",
  "t0"."customer" AS "value_0"
FROM "orders" AS "t0"
WHERE
  "t0"."product" IS NOT NULL
  AND "t0"."known_us" <= 1302592000000000
  AND (
    (
      "t0"."event_us" >= 1302592000000000
    )
    OR (
      "t0"."known_us" > 1302592000000000
    )
  )
ORDER BY
  "t0"."log_row" ASC;

-- 22. state: product, track 1, tiles of orders
SELECT
  "t2"."key_0" AS "product",
  "t2"."bucket",
  "t2"."rows",
  "t2"."count_0",
  "t2"."sum_0",
  "t2"."count_1",
  "t2"."sum_1",
  "t2"."min_2"
FROM (
  SELECT
    "t1"."key_0",
    "t1"."bucket",
    COUNT(*) AS "rows",
    COUNT("t1"."value_0") AS "count_0",
    COALESCE(SUM("t1"."value_0"), 0.0) AS "sum_0",
    COUNT("t1"."value_1") AS "count_1",
    COALESCE(SUM("t1"."value_1"), 0.0) AS "sum_1",
    MIN("t1"."value_2") AS "min_2"
  FROM (
    SELECT
      "t0"."product" AS "key_0",
      "t0"."event_us" AS "time",
      "t0"."known_us" AS "known",
      "t0"."log_row" AS "arrival",
      CASE
        WHEN IFF(
          "t0"."price" BETWEEN -1.7976931348623157E+308 AND 1.7976931348623157e+308,
          "t0"."price",
          CAST(NULL AS DOUBLE)
        ) = 0
        THEN 0.0
        WHEN ABS(
          IFF(
            "t0"."price" BETWEEN -1.7976931348623157E+308 AND 1.7976931348623157e+308,
            "t0"."price",
            CAST(NULL AS DOUBLE)
          )
        ) <= 1.7976931348623157e+308
        THEN IFF(
          "t0"."price" BETWEEN -1.7976931348623157E+308 AND 1.7976931348623157e+308,
          "t0"."price",
          CAST(NULL AS DOUBLE)
        )
        ELSE NULL
      END AS "value_0",
      CASE
        WHEN CAST("t0"."quantity" AS DOUBLE) = 0
        THEN 0.0
        WHEN ABS(CAST("t0"."quantity" AS DOUBLE)) <= 1.7976931348623157e+308
        THEN CAST("t0"."quantity" AS DOUBLE)
        ELSE NULL
      END AS "value_1",
      CAST("t0"."time" AS TIMESTAMP(6)) AS "value_2",
      0 AS "bucket"
    FROM "orders" AS "t0"
    WHERE
      "t0"."product" IS NOT NULL
      AND "t0"."event_us" < 1302592000000000
      AND "t0"."known_us" <= 1302592000000000
  ) AS "t1"
  GROUP BY
    1,
    2
) AS "t2";

-- 23. state: product, track 2, newest of orders
SELECT
  "t3"."key_0" AS "product",
  "t3"."time",
  "t3"."known",
  "t3"."value_0"
FROM (
  SELECT
    "t2"."key_0",
    "t2"."time",
    "t2"."known",
    "t2"."arrival",
    "t2"."value_0",
    ROW_NUMBER() OVER (
      PARTITION BY "t2"."key_0"
      ORDER BY "t2"."time" DESC NULLS LAST, "t2"."known" DESC NULLS LAST, "t2"."arrival" DESC NULLS LAST
    ) - 1 AS "place"
  FROM (
    SELECT
      *
    FROM (
      SELECT
        "t0"."product" AS "key_0",
        "t0"."event_us" AS "time",
        "t0"."known_us" AS "known",
        "t0"."log_row" AS "arrival",
        CASE
          WHEN IFF(
            "t0"."price" BETWEEN -1.7976931348623157E+308 AND 1.7976931348623157e+308,
            "t0"."price",
            CAST(NULL AS DOUBLE)
          ) = 0
          THEN 0.0
          WHEN ABS(
            IFF(
              "t0"."price" BETWEEN -1.7976931348623157E+308 AND 1.7976931348623157e+308,
              "t0"."price",
              CAST(NULL AS DOUBLE)
            )
          ) <= 1.7976931348623157e+308
          THEN IFF(
            "t0"."price" BETWEEN -1.7976931348623157E+308 AND 1.7976931348623157e+308,
            "t0"."price",
            CAST(NULL AS DOUBLE)
          )
          ELSE NULL
        END AS "value_0"
      FROM "orders" AS "t0"
      WHERE
        "t0"."product" IS NOT NULL
        AND "t0"."event_us" < 1302592000000000
        AND "t0"."known_us" <= 1302592000000000
    ) AS "t1"
    WHERE
      "t1"."value_0" IS NOT NULL
  ) AS "t2"
) AS "t3"
WHERE
  "t3"."place" = 0;

-- 24. state: product, track 3, newest of orders
SELECT
  "t2"."key_0" AS "product",
  "t2"."time",
  "t2"."known",
  "t2"."value_0"
FROM (
  SELECT
    "t1"."key_0",
    "t1"."time",
    "t1"."known",
    "t1"."arrival",
    "t1"."value_0",
    ROW_NUMBER() OVER (
      PARTITION BY "t1"."key_0"
      ORDER BY "t1"."time" DESC NULLS LAST, "t1"."known" DESC NULLS LAST, "t1"."arrival" DESC NULLS LAST
    ) - 1 AS "place"
  FROM (
    SELECT
      "t0"."product" AS "key_0",
      "t0"."event_us" AS "time",
      "t0"."known_us" AS "known",
      "t0"."log_row" AS "arrival",
      CAST("t0"."time" AS TIMESTAMP(6)) AS "value_0"
    FROM "orders" AS "t0"
    WHERE
      "t0"."product" IS NOT NULL
      AND "t0"."event_us" < 1302592000000000
      AND "t0"."known_us" <= 1302592000000000
      AND CAST("t0"."time" AS TIMESTAMP(6)) IS NOT NULL
  ) AS "t1"
) AS "t2"
WHERE
  "t2"."place" = 0;
