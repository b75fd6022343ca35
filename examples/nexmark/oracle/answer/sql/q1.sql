-- q1, currency conversion: every bid with its price in another currency, price * 0.908. The price is
-- in cents with three decimals; we count thousandths of a cent, so that it is a whole number.
SELECT auction, bidder, price * 908 AS price, date_time, extra
FROM bid;
