const SERIES = String.raw`
a_total{m="x",v="1"} 0 5 9 20 31 2 8 15 16 30 41
a_total{m="x",v="2"} 100 100 100 101 150 151 152 160 161 170 180
a_total{m="y",v="1"} 3 3 3 3 3 3 3 3 3 3 3
b_total{m="x",v="1"} 1 2 3 4 5 6 7 8 9 10 11
b_total{m="y",v="1"} 0 0 0 0 1 1 1 2 2 2 2
g{m="x"} 1 -2 3 -4 5 -6 7 -8 9 -10 11
g{m="z"} 0 0 0 0 0 0 0 0 0 0 0
h_bucket{m="x",le="0.1"} 0 1 2 3 4 5 6 7 8 9 10
h_bucket{m="x",le="0.5"} 0 3 6 9 12 15 18 21 24 27 30
h_bucket{m="x",le="+Inf"} 0 4 8 12 16 20 24 28 32 36 40
h_bucket{m="y",le="0.1"} 0 0 0 0 0 0 0 0 0 0 0
h_bucket{m="y",le="0.5"} 0 0 0 0 0 0 0 0 0 0 0
h_bucket{m="y",le="+Inf"} 0 1 2 3 4 5 6 7 8 9 10
`;

const ANSWERS = String.raw`
rate(a_total[5m]) => [["m","x"],["v","1"]] 0.137500000; [["m","x"],["v","2"]] 0.116666667; [["m","y"],["v","1"]] 0.00000000
increase(a_total[3m20s]) => [["m","x"],["v","1"]] 41.6666667; [["m","x"],["v","2"]] 31.6666667; [["m","y"],["v","1"]] 0.00000000
increase(a_total{m="x"}[4m] offset 2m) => [["m","x"],["v","1"]] 18.3333333; [["m","x"],["v","2"]] 13.3333333
delta(g[5m]) => [["m","x"]] 5.00000000; [["m","z"]] 0.00000000
changes(g[4m10s]) => [["m","x"]] 3.00000000; [["m","z"]] 0.00000000
avg_over_time(g[4m10s]) => [["m","x"]] 0.500000000; [["m","z"]] 0.00000000
min_over_time(g[4m10s]) => [["m","x"]] -10.0000000; [["m","z"]] 0.00000000
max_over_time(g[4m10s]) => [["m","x"]] 11.0000000; [["m","z"]] 0.00000000
sum_over_time(g[4m10s]) => [["m","x"]] 2.00000000; [["m","z"]] 0.00000000
count_over_time(g[4m10s]) => [["m","x"]] 4.00000000; [["m","z"]] 4.00000000
sum by (m) (a_total) => [["m","x"]] 221.000000; [["m","y"]] 3.00000000
sum without (v) (a_total) => [["m","x"]] 221.000000; [["m","y"]] 3.00000000
avg(a_total) => [] 74.6666667
max by (v) (a_total) => [["v","1"]] 41.0000000; [["v","2"]] 180.000000
min(a_total) => [] 3.00000000
count by (m) (a_total) => [["m","x"]] 2.00000000; [["m","y"]] 1.00000000
a_total / b_total => [["m","x"],["v","1"]] 3.72727273; [["m","y"],["v","1"]] 1.50000000
a_total > 20 => [["__name__","a_total"],["m","x"],["v","1"]] 41.0000000; [["__name__","a_total"],["m","x"],["v","2"]] 180.000000
a_total > bool 20 => [["m","x"],["v","1"]] 1.00000000; [["m","x"],["v","2"]] 1.00000000; [["m","y"],["v","1"]] 0.00000000
a_total > on(m,v) b_total => [["m","x"],["v","1"]] 41.0000000; [["m","y"],["v","1"]] 3.00000000
a_total - ignoring(v) sum by (m) (b_total{m="y"}) => [["m","y"]] 1.00000000
sum by (m)(a_total) / on(m) sum by (m)(b_total) => [["m","x"]] 20.0909091; [["m","y"]] 1.50000000
histogram_quantile(0.9, sum by (m, le) (rate(h_bucket[5m]))) => [["m","x"]] 0.500000000; [["m","y"]] 0.500000000
histogram_quantile(0.5, h_bucket) => [["m","x"]] 0.300000000; [["m","y"]] 0.500000000
histogram_quantile(0.99, h_bucket) => [["m","x"]] 0.500000000; [["m","y"]] 0.500000000
histogram_quantile(1.5, h_bucket) => [["m","x"]] Infinity; [["m","y"]] Infinity
absent(nope{m="x",z=~"a"}) => [["m","x"]] 1.00000000
absent(g) => 
abs(g) => [["m","x"]] 11.0000000; [["m","z"]] 0.00000000
clamp_min(g, 3) => [["m","x"]] 11.0000000; [["m","z"]] 3.00000000
time() => [] 630.000000
-g => [["m","x"]] -11.0000000; [["m","z"]] 0.00000000
-2^2 => [] -4.00000000
2^3^2 => [] 512.000000
10 % 4 => [] 2.00000000
7 - 2 - 1 => [] 4.00000000
g and a_total => 
g and on(m) a_total => [["__name__","g"],["m","x"]] 11.0000000
g unless on(m) a_total => [["__name__","g"],["m","z"]] 0.00000000
g or a_total => [["__name__","a_total"],["m","x"],["v","1"]] 41.0000000; [["__name__","a_total"],["m","x"],["v","2"]] 180.000000; [["__name__","a_total"],["m","y"],["v","1"]] 3.00000000; [["__name__","g"],["m","x"]] 11.0000000; [["__name__","g"],["m","z"]] 0.00000000
a_total == 30 => 
a_total != 30 => [["__name__","a_total"],["m","x"],["v","1"]] 41.0000000; [["__name__","a_total"],["m","x"],["v","2"]] 180.000000; [["__name__","a_total"],["m","y"],["v","1"]] 3.00000000
{__name__=~"g|b_.*",m!="y"} => [["__name__","b_total"],["m","x"],["v","1"]] 11.0000000; [["__name__","g"],["m","x"]] 11.0000000; [["__name__","g"],["m","z"]] 0.00000000
g * 2 + 1 => [["m","x"]] 23.0000000; [["m","z"]] 1.00000000
g / 0 => [["m","x"]] Infinity; [["m","z"]] NaN
a_total{v=~"[0-9]"} offset 3m => [["__name__","a_total"],["m","x"],["v","1"]] 15.0000000; [["__name__","a_total"],["m","x"],["v","2"]] 160.000000; [["__name__","a_total"],["m","y"],["v","1"]] 3.00000000
(a_total > 5) and (a_total < 200) => [["__name__","a_total"],["m","x"],["v","1"]] 41.0000000; [["__name__","a_total"],["m","x"],["v","2"]] 180.000000
sum(a_total) > 3 => [] 224.000000
1 + 1 == bool 2 => [] 1.00000000
sum(rate(a_total{m!~"x"}[5m])) by (m) => [["m","y"]] 0.00000000
g ^ 2 => [["m","x"]] 121.000000; [["m","z"]] 0.00000000
a_total{m=~"x|q"} => [["__name__","a_total"],["m","x"],["v","1"]] 41.0000000; [["__name__","a_total"],["m","x"],["v","2"]] 180.000000
histogram_quantile(0.25, rate(h_bucket{m="x"}[5m])) => [["m","x"]] 0.100000000
g >= 0 => [["__name__","g"],["m","x"]] 11.0000000; [["__name__","g"],["m","z"]] 0.00000000
0.5 => [] 0.500000000
`;

/**
 * What Prometheus itself answers (promtool 2.42, `promtool test rules`, samples a minute apart, asked at 10 min 30 s).
 * Ranges do not begin at a sample: whether such a one belongs to the range changed in Prometheus 3.
 */
export const REFERENCE_SERIES: readonly (readonly [string, readonly number[]])[] = SERIES.trim()
  .split('\n')
  .map((line) => {
    const [series = '', ...values] = line.split(' ');
    return [series, values.map(Number)];
  });

/** Expression and answer: labels in the order of their names, value to nine digits. */
export const REFERENCE_ANSWERS: readonly (readonly [string, string])[] = ANSWERS.trim()
  .split('\n')
  .map((line) => {
    const [text = '', answer = ''] = line.split(' => ');
    return [text, answer];
  });
