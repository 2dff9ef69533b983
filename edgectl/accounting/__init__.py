"""From the books to figures that another can check: no I/O, integers and exact fractions.

apportion     whole parts that add up to the whole
network       buses, lines, sources and sinks of one interval
tracing       which source fed which sink, over any network
rings         the order of buses, and rings in it
storage       what a battery holds, and of whose carbon
counters      the energy counters of device profiles
registers     a meter's counter as the truth, power as its shape
following     a row or column of the ledger's table with the counters that stand for it
corrections   what the counters said, over what was booked
intervals     seconds cut where a factor changes, clocks that were set
gaps          what was measured and what stands in for what was not
period        rows of the ledger into minutes, quarters and hours
uncertainty   standard uncertainties and how they combine
bounds        a bound on every figure of a period
amounts       location, market and marginal carbon: types that do not mix
scope2        contracts hour by hour; scope2_bounds: how well that is known
kpi           PUE, CUE, WUE, REF, ERF, CFE, SCI, the indicators of (EU) 2024/1364
cbam          CBAM-style embedded emissions
factors       emission factors as records, and which one holds
factor_*      the published shapes of the services that publish them
fuel_mix      a zone's intensity from its generation by fuel
"""
