package tuning

import "math"

// Estimate is a sum over a table, of which only a part was looked at.
//
// The naive way adds all of a table up: a million sessions are a million cache misses, a fifth of a
// second in which the table's owner does nothing else. Of k elements drawn from n the mean times n
// is an estimate without bias, and how much the k differ among themselves says how far it may be
// off; n does not come into that. So 1,000 of a million are as good as 1,000 of ten thousand.
//
// The draw is stratified: the table is cut into k pieces of equal length and one element is drawn
// from each. Elements that lie near each other are often alike (they came at the same time, from
// the same kind of client), and then this is closer to the truth than k drawn from all; the bound
// is that of the latter, and errs on the safe side. See TestEstimatesKeepTheirBounds.
type Estimate struct {
	Sum    float64
	square float64 // of the standard error
	Of     int     // elements
	Looked int     // of these
}

// normal95 is how many standard errors hold the truth 19 times of 20.
const normal95 = 1.96

// Sum adds up size over a table of n elements by at most looks of them; random returns a number
// from 0 to below its argument. A table of no more than looks is added up in full.
func Sum(n, looks int, random func(int) int, size func(int) int) Estimate {
	e := Estimate{Of: n, Looked: min(n, looks)}
	if n <= looks {
		for i := range n {
			e.Sum += float64(size(i))
		}
		return e
	}
	var mean, squares float64 // Welford's, since sizes are large and alike.
	for i := range looks {
		from, to := i*n/looks, (i+1)*n/looks
		x := float64(size(from + random(to-from)))
		d := x - mean
		mean += d / float64(i+1)
		squares += d * (x - mean)
	}
	return e.extrapolate(mean, squares)
}

// extrapolate makes the estimate of a sample's mean and the sum of its squared differences.
func (e Estimate) extrapolate(mean, squares float64) Estimate {
	n, k := float64(e.Of), float64(e.Looked)
	e.Sum = mean * n
	if k > 1 {
		e.square = n * n * squares / (k - 1) / k * (1 - k/n)
	}
	return e
}

// Sampled is the estimate for a table of n elements of which these have been drawn at random.
func Sampled(n int, sizes []int) Estimate {
	return Sum(len(sizes), len(sizes), nil, func(i int) int { return sizes[i] }).over(n, sizes)
}

func (e Estimate) over(n int, sizes []int) Estimate {
	if e.Of = n; len(sizes) == 0 {
		return e
	}
	mean, squares := e.Sum/float64(len(sizes)), 0.0
	for _, size := range sizes {
		d := float64(size) - mean
		squares += d * d
	}
	return e.extrapolate(mean, squares)
}

// Add is the sum of both, which are independent.
func (e Estimate) Add(o Estimate) Estimate {
	return Estimate{e.Sum + o.Sum, e.square + o.square, e.Of + o.Of, e.Looked + o.Looked}
}

// Instead is the same estimate with another sum: what is known for certain has been added.
func (e Estimate) Instead(sum float64) Estimate {
	e.Sum = sum
	return e
}

// Scaled is the estimate for as many times as much.
func (e Estimate) Scaled(by float64) Estimate {
	e.Sum, e.square = e.Sum*by, e.square*by*by
	return e
}

// Bound is how far the truth is away from Sum at most, 19 times of 20.
func (e Estimate) Bound() float64 { return normal95 * math.Sqrt(e.square) }
