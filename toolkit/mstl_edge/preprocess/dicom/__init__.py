"""DICOM files, read by pydicom, which the extra [dicom] installs; nothing here imports it before such a file is there."""

from mstl_edge.preprocess.dicom.elsewhere import many_files
from mstl_edge.preprocess.dicom.header import Header, read_header
from mstl_edge.preprocess.dicom.picture import NOT_INSTALLED, DicomPicture, is_dicom, missing_reader, open_dicom

__all__ = [
    "NOT_INSTALLED",
    "DicomPicture",
    "Header",
    "is_dicom",
    "many_files",
    "missing_reader",
    "open_dicom",
    "read_header",
]
