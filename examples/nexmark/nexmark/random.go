package nexmark

import (
	"fmt"
	"math"
	"strings"
)

// golden is 2^64 over the golden ratio, splitmix64's increment.
const golden = 0x9E3779B97F4A7C15

// random is splitmix64 (Steele, Lea, Flood 2014): a good generator whose state
// is one word, so that seeding it anew for each event costs nothing.
type random uint64

// seeded is the generator of one event.
func seeded(seed uint64, event int64) random {
	r := random(seed ^ mix(uint64(event)+golden))
	return r
}

func mix(z uint64) uint64 {
	z = (z ^ z>>30) * 0xBF58476D1CE4E5B9
	z = (z ^ z>>27) * 0x94D049BB133111EB
	return z ^ z>>31
}

func (r *random) next() uint64 {
	*r += golden
	return mix(uint64(*r))
}

// below is a number in [0, n), by multiplication: its bias is below n/2^32.
func (r *random) below(n int64) int64 { return int64(r.next() >> 32 * uint64(n) >> 32) }

// price is between 1 dollar and a million, in cents, uniform in its logarithm.
func (r *random) price() int64 { return prices[r.next()>>(64-priceBits)] }

// priceBits is how finely prices are tabulated: computing a power costs as much
// as all the rest of a bid.
const priceBits = 16

var prices = func() []int64 {
	p := make([]int64, 1<<priceBits)
	for i := range p {
		p[i] = int64(math.Round(math.Pow(10, 6*float64(i)/float64(len(p))) * 100))
	}
	return p
}()

// pool is text to cut strings from: one letter in 13 is a space, the others a to z.
// Cutting costs no memory, so that what is measured is the job and not the
// allocation of its input.
var pool = func() string {
	r := seeded(0, -1)
	var b strings.Builder
	for range poolSize {
		if r.below(13) == 0 {
			b.WriteByte(' ')
		} else {
			b.WriteByte(byte('a' + r.below(26)))
		}
	}
	return b.String()
}()

const poolSize = 1 << 16

// text is a string of the given length.
func (r *random) text(length int64) string {
	from := r.below(poolSize - length)
	return pool[from : from+length]
}

// textUpTo is a string of 3 to most-1 letters.
func (r *random) textUpTo(most int64) string { return r.text(3 + r.below(most-3)) }

// extra fills a row of size bytes up to an average of desired, give or take a fifth.
func (r *random) extra(size, desired int64) string {
	if size >= desired {
		return ""
	}
	left := desired - size
	delta := left / 5
	return r.text(left - delta + r.below(2*delta+1))
}

var (
	firstNames = strings.Split("Peter Paul Luke John Saul Vicky Kate Julie Sarah Deiter Walter", " ")
	lastNames  = strings.Split("Shultz Abrams Spencer White Bartels Walton Smith Jones Noris", " ")
	cities     = strings.Split("Phoenix,Los Angeles,San Francisco,Boise,Portland,Bend,Redmond,Seattle,Kent,Cheyenne", ",")
	states     = strings.Split("AZ CA ID OR WA WY", " ")

	hotChannels = []string{"Google", "Facebook", "Baidu", "Apple"}
	hotURLs     = func() []string {
		r := seeded(0, -2)
		urls := make([]string, len(hotChannels))
		for i := range urls {
			urls[i] = r.baseURL()
		}
		return urls
	}()

	channels, channelURLs = func() (names, urls []string) {
		r := seeded(0, -3)
		for i := range channelCount {
			names = append(names, fmt.Sprintf("channel-%d", i))
			url := r.baseURL()
			if r.below(10) > 0 {
				url += fmt.Sprintf("&channel_id=%d", r.next()>>33)
			}
			urls = append(urls, url)
		}
		return names, urls
	}()
)

const channelCount = 10_000

// baseURL is the page of an item. Its path has no spaces.
func (r *random) baseURL() string {
	part := func() string { return strings.ReplaceAll(strings.TrimSpace(r.text(5)), " ", "_") }
	return "https://www.nexmark.com/" + part() + "/" + part() + "/" + part() + "/item.htm?query=1"
}
