# SPDX-License-Identifier: GPL-2.0-only
"""The table of ways to hold pages: one row and one file each, here and in ``guest/hold/``."""

from pinhole.scenario.hold.af_xdp import AF_XDP
from pinhole.scenario.hold.coredump import COREDUMP
from pinhole.scenario.hold.direct_dm import DIRECT_DM
from pinhole.scenario.hold.direct_fuse import DIRECT_FUSE
from pinhole.scenario.hold.direct_null_blk import DIRECT_NULL_BLK
from pinhole.scenario.hold.fuse_locked import FUSE_LOCKED
from pinhole.scenario.hold.fuse_writeback import FUSE_WRITEBACK
from pinhole.scenario.hold.gup_test import GUP_TEST
from pinhole.scenario.hold.gup_userfaultfd import GUP_USERFAULTFD
from pinhole.scenario.hold.io_uring import IO_URING
from pinhole.scenario.hold.io_uring_ring import IO_URING_RING
from pinhole.scenario.hold.iommufd import IOMMUFD
from pinhole.scenario.hold.msg_zerocopy import MSG_ZEROCOPY
from pinhole.scenario.hold.process_vm_readv import PROCESS_VM_READV
from pinhole.scenario.hold.rdma_rxe import RDMA_RXE
from pinhole.scenario.hold.rdma_siw import RDMA_SIW
from pinhole.scenario.hold.splice import SPLICE
from pinhole.scenario.hold.udmabuf import UDMABUF
from pinhole.scenario.hold.vfio import VFIO
from pinhole.scenario.hold.vhost_vdpa import VHOST_VDPA
from pinhole.scenario.hold.vmsplice import VMSPLICE
from pinhole.scenario.hold.zsmalloc import ZSMALLOC

HOLD_PATHS = {
    path.name: path
    for path in (
        IO_URING,
        IO_URING_RING,
        AF_XDP,
        VFIO,
        IOMMUFD,
        RDMA_RXE,
        RDMA_SIW,
        UDMABUF,
        GUP_TEST,
        VHOST_VDPA,
        VMSPLICE,
        SPLICE,
        MSG_ZEROCOPY,
        PROCESS_VM_READV,
        GUP_USERFAULTFD,
        DIRECT_FUSE,
        DIRECT_DM,
        DIRECT_NULL_BLK,
        FUSE_LOCKED,
        FUSE_WRITEBACK,
        COREDUMP,
        ZSMALLOC,
    )
}
