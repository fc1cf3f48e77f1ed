import { PlusOutlined } from '@ant-design/icons';
import { useMutation, useQueryClient } from '@tanstack/react-query';
import { Button, Form, Input, Modal, Select } from 'antd';
import { useState } from 'react';
import { useDirectory } from '../directory';
import { create } from '../fhir';
import type { Organization } from '../fhir-types';
import { useTranslation } from '../i18n';
import { textOf } from '../names';
import { Empty } from '../parts/empty';
import { Problem } from '../parts/problem';

interface OrganizationFields { name: string; partOf?: string; phone?: string }

export function Organizations() {
  const { t } = useTranslation();
  const directory = useDirectory();
  const [adding, setAdding] = useState(false);
  return (
    <>
      <div className="tab-actions"><Button type="primary" icon={<PlusOutlined />} onClick={() => setAdding(true)}>{t('people.addOrganization')}</Button></div>
      {directory.organizations.length === 0 ? <Empty title={t('people.noOrganizations')} /> : (
        <div className="table-scroll">
          <table className="list-table list-simple">
            <thead><tr>{['people.organization', 'people.kind', 'people.partOf', 'people.postsCount'].map((key) => <th key={key} scope="col">{t(key)}</th>)}</tr></thead>
            <tbody>
              {directory.organizations.map((house) => (
                <tr key={house.id}>
                  <td data-label={t('people.organization')}>{house.name}</td>
                  <td data-label={t('people.kind')}>{textOf(house.type?.[0]) || '—'}</td>
                  <td data-label={t('people.partOf')}>{directory.organizationName(house.partOf) || '—'}</td>
                  <td data-label={t('people.postsCount')}>{directory.posts.filter((post) => post.organizationId === house.id && post.active).length}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      <OrganizationDialog open={adding} onClose={() => setAdding(false)} />
    </>
  );
}

function OrganizationDialog({ open, onClose }: { open: boolean; onClose: () => void }) {
  const { t } = useTranslation();
  const directory = useDirectory();
  const client = useQueryClient();
  const [form] = Form.useForm<OrganizationFields>();
  const add = useMutation({
    mutationFn: (fields: OrganizationFields) =>
      create<Organization>({
        resourceType: 'Organization',
        active: true,
        name: fields.name,
        ...(fields.partOf ? { partOf: { reference: `Organization/${fields.partOf}` } } : {}),
        ...(fields.phone ? { telecom: [{ system: 'phone', value: fields.phone }] } : {}),
      }),
    onSuccess: () => {
      void client.invalidateQueries({ queryKey: ['list', 'Organization'] });
      onClose();
    },
  });
  return (
    <Modal open={open} title={t('people.addOrganization')} okText={t('people.add')} confirmLoading={add.isPending} destroyOnHidden onOk={() => form.submit()} onCancel={onClose} afterClose={() => add.reset()}>
      <Form form={form} layout="vertical" preserve={false} requiredMark="optional" onFinish={(fields) => add.mutate(fields)}>
        <Form.Item name="name" label={t('people.organizationName')} rules={[{ required: true, message: t('common.required') }]}><Input /></Form.Item>
        <Form.Item name="partOf" label={t('people.partOf')}><Select allowClear showSearch optionFilterProp="label" options={directory.organizations.map((house) => ({ value: house.id ?? '', label: house.name }))} /></Form.Item>
        <Form.Item name="phone" label={t('people.phone')}><Input /></Form.Item>
        {add.error ? <Problem error={add.error} /> : null}
      </Form>
    </Modal>
  );
}
