-- q13, bounded side input: every bid with what a table of 10,000 rows says for its auction. The table's value is the key as text.
WITH RECURSIVE side_input(key, value) AS (
    SELECT 0, '0'
    UNION ALL
    SELECT key + 1, CAST(key + 1 AS TEXT) FROM side_input WHERE key < 9999
)
SELECT bid.auction, bid.bidder, bid.price, bid.date_time, side_input.value
FROM bid
JOIN side_input ON side_input.key = bid.auction % 10000;
