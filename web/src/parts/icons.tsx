// The icons of the first page, from the drawings alone: the kit's own wrapper weighs as much as all of these.
import AlertFilledDrawing from '@ant-design/icons-svg/es/asn/AlertFilled';
import CheckCircleFilledDrawing from '@ant-design/icons-svg/es/asn/CheckCircleFilled';
import CheckCircleOutlinedDrawing from '@ant-design/icons-svg/es/asn/CheckCircleOutlined';
import ClockCircleOutlinedDrawing from '@ant-design/icons-svg/es/asn/ClockCircleOutlined';
import CloseCircleFilledDrawing from '@ant-design/icons-svg/es/asn/CloseCircleFilled';
import CloseOutlinedDrawing from '@ant-design/icons-svg/es/asn/CloseOutlined';
import CloudSyncOutlinedDrawing from '@ant-design/icons-svg/es/asn/CloudSyncOutlined';
import DisconnectOutlinedDrawing from '@ant-design/icons-svg/es/asn/DisconnectOutlined';
import DownOutlinedDrawing from '@ant-design/icons-svg/es/asn/DownOutlined';
import DownloadOutlinedDrawing from '@ant-design/icons-svg/es/asn/DownloadOutlined';
import ExclamationCircleFilledDrawing from '@ant-design/icons-svg/es/asn/ExclamationCircleFilled';
import ExclamationCircleOutlinedDrawing from '@ant-design/icons-svg/es/asn/ExclamationCircleOutlined';
import EyeInvisibleOutlinedDrawing from '@ant-design/icons-svg/es/asn/EyeInvisibleOutlined';
import EyeOutlinedDrawing from '@ant-design/icons-svg/es/asn/EyeOutlined';
import FieldTimeOutlinedDrawing from '@ant-design/icons-svg/es/asn/FieldTimeOutlined';
import InboxOutlinedDrawing from '@ant-design/icons-svg/es/asn/InboxOutlined';
import LockOutlinedDrawing from '@ant-design/icons-svg/es/asn/LockOutlined';
import MenuOutlinedDrawing from '@ant-design/icons-svg/es/asn/MenuOutlined';
import MinusCircleOutlinedDrawing from '@ant-design/icons-svg/es/asn/MinusCircleOutlined';
import PhoneOutlinedDrawing from '@ant-design/icons-svg/es/asn/PhoneOutlined';
import PictureOutlinedDrawing from '@ant-design/icons-svg/es/asn/PictureOutlined';
import PlusOutlinedDrawing from '@ant-design/icons-svg/es/asn/PlusOutlined';
import PrinterOutlinedDrawing from '@ant-design/icons-svg/es/asn/PrinterOutlined';
import PushpinOutlinedDrawing from '@ant-design/icons-svg/es/asn/PushpinOutlined';
import QuestionCircleOutlinedDrawing from '@ant-design/icons-svg/es/asn/QuestionCircleOutlined';
import SearchOutlinedDrawing from '@ant-design/icons-svg/es/asn/SearchOutlined';
import SyncOutlinedDrawing from '@ant-design/icons-svg/es/asn/SyncOutlined';
import ThunderboltFilledDrawing from '@ant-design/icons-svg/es/asn/ThunderboltFilled';
import UnlockOutlinedDrawing from '@ant-design/icons-svg/es/asn/UnlockOutlined';
import UserOutlinedDrawing from '@ant-design/icons-svg/es/asn/UserOutlined';
import WarningOutlinedDrawing from '@ant-design/icons-svg/es/asn/WarningOutlined';
import type { AbstractNode, IconDefinition } from '@ant-design/icons-svg/es/types';
import { createElement, type HTMLAttributes, type ReactNode } from 'react';

const draw = (node: AbstractNode, key: number): ReactNode => createElement(node.tag, { key, ...node.attrs }, node.children?.map(draw));

function iconOf({ icon }: IconDefinition) {
  const drawing = typeof icon === 'function' ? icon('currentColor', 'currentColor') : icon;
  return function Icon({ className = '', ...rest }: HTMLAttributes<HTMLSpanElement>) {
    return (
      <span className={`anticon ${className}`} {...rest}>
        <svg viewBox={drawing.attrs['viewBox']} width="1em" height="1em" fill="currentColor" focusable="false" aria-hidden>{drawing.children?.map(draw)}</svg>
      </span>
    );
  };
}

export const AlertFilled = iconOf(AlertFilledDrawing);
export const CheckCircleFilled = iconOf(CheckCircleFilledDrawing);
export const CheckCircleOutlined = iconOf(CheckCircleOutlinedDrawing);
export const ClockCircleOutlined = iconOf(ClockCircleOutlinedDrawing);
export const CloseCircleFilled = iconOf(CloseCircleFilledDrawing);
export const CloseOutlined = iconOf(CloseOutlinedDrawing);
export const CloudSyncOutlined = iconOf(CloudSyncOutlinedDrawing);
export const DisconnectOutlined = iconOf(DisconnectOutlinedDrawing);
export const DownOutlined = iconOf(DownOutlinedDrawing);
export const DownloadOutlined = iconOf(DownloadOutlinedDrawing);
export const ExclamationCircleFilled = iconOf(ExclamationCircleFilledDrawing);
export const ExclamationCircleOutlined = iconOf(ExclamationCircleOutlinedDrawing);
export const EyeInvisibleOutlined = iconOf(EyeInvisibleOutlinedDrawing);
export const EyeOutlined = iconOf(EyeOutlinedDrawing);
export const FieldTimeOutlined = iconOf(FieldTimeOutlinedDrawing);
export const InboxOutlined = iconOf(InboxOutlinedDrawing);
export const LockOutlined = iconOf(LockOutlinedDrawing);
export const MenuOutlined = iconOf(MenuOutlinedDrawing);
export const MinusCircleOutlined = iconOf(MinusCircleOutlinedDrawing);
export const PhoneOutlined = iconOf(PhoneOutlinedDrawing);
export const PictureOutlined = iconOf(PictureOutlinedDrawing);
export const PlusOutlined = iconOf(PlusOutlinedDrawing);
export const PrinterOutlined = iconOf(PrinterOutlinedDrawing);
export const PushpinOutlined = iconOf(PushpinOutlinedDrawing);
export const QuestionCircleOutlined = iconOf(QuestionCircleOutlinedDrawing);
export const SearchOutlined = iconOf(SearchOutlinedDrawing);
export const SyncOutlined = iconOf(SyncOutlinedDrawing);
export const ThunderboltFilled = iconOf(ThunderboltFilledDrawing);
export const UnlockOutlined = iconOf(UnlockOutlinedDrawing);
export const UserOutlined = iconOf(UserOutlinedDrawing);
export const WarningOutlined = iconOf(WarningOutlinedDrawing);
