#!/usr/bin/env Rscript
# Makes ks_test.csv, the golden values of test/unit/ks_test_test.cpp: Rscript test/golden/ks_test.R (R 4.2 or later).
#
# A line is a case: its name, the method that R chose, d, the p-value and both samples. R's exact p-values are
# differences from 1 and good to about 1e-11, its asymptotic ones to 1e-6. NaN stands for NA too: R drops both.

set.seed(20000101)
number <- function(x) {
    short <- sprintf("%.15g", x)
    exact <- suppressWarnings(as.numeric(short)) == x
    ifelse(is.na(x), "NaN", ifelse(exact, short, sprintf("%.17g", x)))
}
lines <- character()
add <- function(name, x, y) {
    result <- suppressWarnings(ks.test(x, y))
    method <- if (grepl("^Exact", result$method)) "exact" else "asymptotic"
    lines <<- c(lines, paste(name, method, sprintf("%.17g", result$statistic), sprintf("%.17g", result$p.value),
                             paste(number(x), collapse = " "), paste(number(y), collapse = " "), sep = ","))
}
# Two samples without ties: the ranks of normal values, those of the second sample shifted.
add_distinct <- function(name, sizes, shift) {
    ranks <- rank(c(rnorm(sizes[1]), rnorm(sizes[2], shift)))
    add(name, ranks[1:sizes[1]], ranks[-(1:sizes[1])])
}
dice <- function(n, sides) sample.int(sides, n, replace = TRUE)

add("Schroeer and Trenkler 1995", c(1, 2, 2, 3, 3), c(1, 2, 3, 3, 4, 5, 6))
add("one and one", 1, 2)
add("one and one equal", 1, 1)
add("one and many", 3, 1:20)
add("one and many tied", c(2), c(1, 2, 2, 2, 3))
add("identical samples", 1:30, 1:30)
add("all values equal", rep(7, 20), rep(7, 30))
add("disjoint", 1:20, 21:45)
add("disjoint tied", rep(1, 12), rep(2, 9))
add("both zeros", c(-0, 0, 1), c(0, -0, -1))
add("infinities", c(-Inf, 1, 2, 3), c(0, 3, Inf, 5, 6))  # two equal ones stop R: it subtracts neighbours
add("missing values", c(NA, 1, NaN, 2, 3, NA), c(2.5, NaN, 4, 5))
add("neighbouring numbers", c(1, 1 + 2^-52, 1 + 2^-51), c(1 + 2^-52, 1 + 2^-52, 2))
add("extreme magnitudes", c(5e-324, -5e-324, 1.7e308, -1.7e308), c(0, 1e-300, -1e300, 1e300, 5))
for (sizes in list(c(2, 3), c(5, 5), c(7, 9), c(10, 30), c(40, 25), c(60, 80))) {
    add_distinct("distinct", sizes, 0)
    add_distinct("distinct shifted", sizes, 0.8)
    add("ties", dice(sizes[1], 6), dice(sizes[2], 6))
    add("ties shifted", dice(sizes[1], 6), dice(sizes[2], 8))
    add("two values", dice(sizes[1], 2), dice(sizes[2], 2))
    add("rounded", round(rnorm(sizes[1]), 1), round(rnorm(sizes[2]), 1))
}
for (sizes in list(c(99, 101), c(100, 100), c(101, 100), c(3, 3333), c(5, 2000))) {
    add_distinct("around 10000", sizes, 0)
    add_distinct("around 10000 shifted", sizes, 0.3)
    add("around 10000 ties", dice(sizes[1], 12), dice(sizes[2], 12))
}
add("exact once missing values are dropped", c(1:99, NA), 1:101)
add_distinct("asymptotic", c(300, 400), 0)
add_distinct("asymptotic shifted", c(300, 400), 0.2)
add("asymptotic ties", dice(300, 20), dice(400, 21))
add("asymptotic identical", 1:120, 1:120)
add("asymptotic disjoint", 1:100, 101:220)

script <- sub("^--file=", "", grep("^--file=", commandArgs(), value = TRUE))
header <- c(sprintf("# Made by test/golden/ks_test.R with R %s.%s: %d cases.", R.version$major, R.version$minor,
                    length(lines)), "case,method,d,p_value,x,y")
writeLines(c(header, lines), file.path(dirname(script), "ks_test.csv"))
