// A radiologist reports what he has just seen on a study of the own hospital, without waiting for a consult.
import { AlertOutlined } from '@ant-design/icons';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { Button, DatePicker, Form, Input, Modal } from 'antd';
import type { Dayjs } from 'dayjs';
import { useState } from 'react';
import { useNavigate } from 'react-router';
import { PatientLine } from '../consult/patient-line';
import type { ImagingStudy, Patient } from '../fhir-types';
import { siteInstant } from '../format';
import { siteWallClock } from '../parts/wall-clock';
import { useTranslation } from '../i18n';
import { Problem } from '../parts/problem';
import { toast } from '../parts/toast';
import { useSession } from '../session';
import { reportCritical } from './data';

export function ReportCritical({ study, patient }: { study: ImagingStudy; patient: Patient | undefined }) {
  const { t } = useTranslation();
  const session = useSession();
  const client = useQueryClient();
  const navigate = useNavigate();
  const [open, setOpen] = useState(false);
  const [form] = Form.useForm<{ finding: string; found: Dayjs }>();
  const report = useMutation({
    mutationFn: ({ finding, found }: { finding: string; found: Dayjs }) => reportCritical(session, study, finding.trim(), siteInstant(found)),
    onSuccess: () => {
      void client.invalidateQueries({ queryKey: ['list', 'Task'] });
      toast.success(t('critical.reported'));
      void navigate('/critical');
    },
  });
  if (session.post.role !== 'radiologist') return null;
  const required = (what: string) => [{ required: true, message: t('common.requiredOf', { what }) }];
  return (
    <>
      <Button danger icon={<AlertOutlined />} data-action="report-critical" onClick={() => setOpen(true)}>{t('critical.report')}</Button>
      <Modal open={open} title={t('critical.report')} okText={t('critical.report')} confirmLoading={report.isPending} destroyOnHidden
        onOk={() => form.submit()} onCancel={() => setOpen(false)} afterClose={() => report.reset()}>
        <PatientLine consult={{ patient }} strong />
        <p className="hint">{t('critical.reportHelp')}</p>
        <Form form={form} layout="vertical" preserve={false} requiredMark="optional" onFinish={(fields) => report.mutate(fields)}>
          <Form.Item name="finding" label={t('critical.finding')} rules={required(t('critical.finding'))}><Input.TextArea autoSize={{ minRows: 2, maxRows: 8 }} /></Form.Item>
          <Form.Item name="found" label={t('critical.foundAt')} initialValue={siteWallClock(Date.now())} rules={required(t('critical.foundAt'))}>
            <DatePicker showTime={{ format: 'HH:mm' }} format="YYYY-MM-DD HH:mm" allowClear={false} />
          </Form.Item>
        </Form>
        {report.error ? <Problem error={report.error} /> : null}
      </Modal>
    </>
  );
}
