"""The kernel's structs as numpy dtypes, so that Python fills and reads them in place."""

import numpy

from edgectl._kernel.carbon cimport FlowTotal, GeneratorRow
from edgectl._kernel.carryover cimport StockKept
from edgectl._kernel.dispatch cimport DispatchRow, FlexibleRow, HeartbeatRow, PvRow, StorageRow
from edgectl._kernel.fieldbus cimport BusDeviceRow, LinkRow, ProbeRow
from edgectl._kernel.interlock cimport CauseRow, EffectRow, InterlockRow
from edgectl._kernel.inventory cimport StockRow, StockSlice
from edgectl._kernel.journal cimport (
    InterlockSnapshot, Mail, PointRecord, RecordHead, SegmentHead, SnapshotHead, StorageRecord)
from edgectl._kernel.monitor cimport MonitorRow
from edgectl._kernel.network cimport FeederRow, FlowCell
from edgectl._kernel.overload cimport CurveRow
from edgectl._kernel.process_image cimport BlockRow, DeviceLink, OutputRow, PointRow
from edgectl._kernel.quality cimport Sample
from edgectl._kernel.site cimport ScanRow
from edgectl._kernel.totalizer cimport MeterRow


cdef PointRow point
cdef BlockRow block
cdef OutputRow output
cdef LinkRow link
cdef BusDeviceRow bus_device
cdef ProbeRow probe
cdef CauseRow cause
cdef EffectRow effect
cdef InterlockRow interlock
cdef MonitorRow monitor
cdef CurveRow curve
cdef HeartbeatRow heartbeat
cdef StorageRow storage
cdef PvRow pv
cdef FlexibleRow flexible
cdef DispatchRow dispatch
cdef MeterRow meter
cdef StockRow stock
cdef StockKept stock_kept
cdef StockSlice stock_slice
cdef GeneratorRow generator
cdef FeederRow feeder
cdef ScanRow scan
cdef Sample sample
cdef DeviceLink device_link
cdef FlowCell flow_cell
cdef FlowTotal flow_total
cdef SegmentHead segment_head
cdef Mail mail
cdef RecordHead record_head
cdef StorageRecord storage_record
cdef PointRecord point_record
cdef SnapshotHead snapshot_head
cdef InterlockSnapshot interlock_snapshot

DTYPES = {
    "PointRow": numpy.asarray(<PointRow[:1]> &point).dtype,
    "BlockRow": numpy.asarray(<BlockRow[:1]> &block).dtype,
    "OutputRow": numpy.asarray(<OutputRow[:1]> &output).dtype,
    "LinkRow": numpy.asarray(<LinkRow[:1]> &link).dtype,
    "BusDeviceRow": numpy.asarray(<BusDeviceRow[:1]> &bus_device).dtype,
    "ProbeRow": numpy.asarray(<ProbeRow[:1]> &probe).dtype,
    "CauseRow": numpy.asarray(<CauseRow[:1]> &cause).dtype,
    "EffectRow": numpy.asarray(<EffectRow[:1]> &effect).dtype,
    "InterlockRow": numpy.asarray(<InterlockRow[:1]> &interlock).dtype,
    "MonitorRow": numpy.asarray(<MonitorRow[:1]> &monitor).dtype,
    "CurveRow": numpy.asarray(<CurveRow[:1]> &curve).dtype,
    "HeartbeatRow": numpy.asarray(<HeartbeatRow[:1]> &heartbeat).dtype,
    "StorageRow": numpy.asarray(<StorageRow[:1]> &storage).dtype,
    "PvRow": numpy.asarray(<PvRow[:1]> &pv).dtype,
    "FlexibleRow": numpy.asarray(<FlexibleRow[:1]> &flexible).dtype,
    "DispatchRow": numpy.asarray(<DispatchRow[:1]> &dispatch).dtype,
    "MeterRow": numpy.asarray(<MeterRow[:1]> &meter).dtype,
    "StockRow": numpy.asarray(<StockRow[:1]> &stock).dtype,
    "StockKept": numpy.asarray(<StockKept[:1]> &stock_kept).dtype,
    "StockSlice": numpy.asarray(<StockSlice[:1]> &stock_slice).dtype,
    "GeneratorRow": numpy.asarray(<GeneratorRow[:1]> &generator).dtype,
    "FeederRow": numpy.asarray(<FeederRow[:1]> &feeder).dtype,
    "ScanRow": numpy.asarray(<ScanRow[:1]> &scan).dtype,
    "Sample": numpy.asarray(<Sample[:1]> &sample).dtype,
    "DeviceLink": numpy.asarray(<DeviceLink[:1]> &device_link).dtype,
    "FlowCell": numpy.asarray(<FlowCell[:1]> &flow_cell).dtype,
    "FlowTotal": numpy.asarray(<FlowTotal[:1]> &flow_total).dtype,
    "SegmentHead": numpy.asarray(<SegmentHead[:1]> &segment_head).dtype,
    "Mail": numpy.asarray(<Mail[:1]> &mail).dtype,
    "RecordHead": numpy.asarray(<RecordHead[:1]> &record_head).dtype,
    "StorageRecord": numpy.asarray(<StorageRecord[:1]> &storage_record).dtype,
    "PointRecord": numpy.asarray(<PointRecord[:1]> &point_record).dtype,
    "SnapshotHead": numpy.asarray(<SnapshotHead[:1]> &snapshot_head).dtype,
    "InterlockSnapshot": numpy.asarray(<InterlockSnapshot[:1]> &interlock_snapshot).dtype,
}
