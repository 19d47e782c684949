package statuspage

import "strings"

// field is one number of a part of the status: a counter, which grows for as long as the process runs and goes on over a
// reload; or a gauge, which says how it is now. The fields of a part stand in one table, in the order of its metrics.
type field struct {
	name  string // of the family, behind the prefix of the part; empty: it is no metric
	help  string
	count *int64  // nil: value is it
	value float64 // of a gauge, or of a counter that is made of others
}

// kind is the type of the family.
func (f field) kind() string {
	if f.count != nil || strings.HasSuffix(f.name, "_total") {
		return "counter"
	}
	return "gauge"
}

// number is how it is now.
func (f field) number() float64 {
	if f.count != nil {
		return float64(*f.count)
	}
	return f.value
}

// table are the fields of one part. What adds to it is not inlined: it is called sixty times, which would be 10 KiB.
type table []field

//go:noinline
func (t *table) counter(name, help string, count *int64) {
	*t = append(*t, field{name, help, count, 0})
}

//go:noinline
func (t *table) gauge(name, help string, value float64) {
	*t = append(*t, field{name, help, nil, value})
}

// hidden is a counter that is no metric.
func (t *table) hidden(count *int64) { t.counter("", "", count) }

// boolean is 1 for true.
func boolean(is bool) float64 {
	if is {
		return 1
	}
	return 0
}

// add adds the counters of one to those of another of the same type.
func add(to, more table) {
	for i, f := range to {
		if f.count != nil {
			*f.count += *more[i].count
		}
	}
}

// labelled are the fields of one part in the metrics.
type labelled struct {
	labels string // see sample
	fields table
}

// families makes a family of each field that has a name, with a sample of each part. All are of the type that of is.
func families(prefix string, of table, all ...labelled) (families []metric) {
	for i, f := range of {
		if f.name == "" {
			continue
		}
		m := metric{name: prefix + f.name, kind: f.kind(), help: f.help}
		for _, part := range all {
			m.samples = append(m.samples, sample{part.labels, part.fields[i].number()})
		}
		families = append(families, m)
	}
	return families
}

// family is families of a part that there is but once.
func family(prefix string, fields table) []metric {
	return families(prefix, fields, labelled{fields: fields})
}
