-- q7, highest bid: in each window of 10 s, the bids of the highest price; all of them if several tie. A bid at the moment where a window ends
-- belongs to the next one alone. (The original looks for the price in the window with its end included.)
WITH highest AS (
    SELECT date_time - date_time % 10000 AS starttime, max(price) AS price
    FROM bid
    GROUP BY 1
)
SELECT bid.auction, bid.bidder, bid.price, bid.date_time, bid.extra
FROM bid
JOIN highest ON highest.starttime = bid.date_time - bid.date_time % 10000 AND highest.price = bid.price;
