# SPDX-License-Identifier: GPL-2.0
"""Faults as an IOMMU records them, independent of the type of IOMMU."""

import dataclasses


@dataclasses.dataclass
class Fault:
    """One fault record or event.

    `fields` has the fields that a case can expect: "reason" for VT-d; "event", "s2",
    "class" and "ipa" for SMMUv3. `page` is the 4 KiB page of the IOVA and `write` the
    direction. Both are None if the record has no such field.
    """

    fields: dict
    rid: int
    page: int | None
    write: bool | None

    def differs(self, rid, iova, expected):
        """Returns how the fault differs from that of a write to `iova` by the device
        `rid`, in words; empty if it does not. A field of `expected` that is None is not
        compared."""
        wrong = [f"{name} {show(self.fields.get(name))}" for name, value in expected.items()
                 if value is not None and self.fields.get(name) != value]
        if self.rid != rid:
            wrong.append(f"device {self.rid:#x}")
        if self.page is not None and self.page != iova & ~0xfff:
            wrong.append(f"iova {self.page:#x}")
        if self.write is False:
            wrong.append("a read")
        return ", ".join(wrong)


def show(value):
    """Formats a value, a number in hexadecimal as in the specifications."""
    if value is None or isinstance(value, bool):
        return str(value).lower()
    return hex(value)


def show_fields(fields):
    return " ".join(f"{name} {show(value)}" for name, value in fields.items() if value is not None)
