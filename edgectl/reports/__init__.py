"""What a ledger says, made readable: one document, and its forms for people and programs.

extras        packages that only reports need, and the line that installs them
declared      what no meter knows: contracts, water, meters' classes, an operator's own words
books         a ledger read once: exact sums by hour and path, and what stands behind them
mixture       what the batteries hold, by origin
document      the whole report as plain data; every form below shows this and nothing else
metering      how well each energy and each carbon is known; unbounded: what has no interval, why
figures       headline figures with their intervals; indicators, certificates
scopes        scope 2 both ways; clean: CFE and renewable shares; compute: carbon per unit of it
rows          paths, origins, hours, batteries as rows of the document
plots diagram flow   pictures as SVG
page          HTML and PDF; tables: CSV and XLSX; parquet: every second for analysts
evidence      CBAM-style evidence pack; sample: records with proofs; indirect: its XML
"""
